# Sourced by inside.sh: one import and one delivery, with the running services.
say "-- one delivery"
cd $work
gateway_token() {
    as pfx-gateway pfx-connector gateway token create --config /etc/pfx-gateway/gateway.toml --role "$1" --name "$1" --json | jq -r .token
}
gateway_token importer >importer-token
MDM_TOKEN=$(gateway_token mdm)
openssl rand -hex 12 >anna-password
openssl pkcs12 -export -inkey anna.key -in anna.pem -passout file:anna-password -out anna.pfx
holds "import" pfx-connector import add --config import.toml --user anna@example.com --pfx anna.pfx --certificate anna.pem --password-file anna-password
call() { curl -sS --cacert gateway-ca.pem -H "Authorization: Bearer $MDM_TOKEN" -H 'Content-Type: application/json' "$@"; }
URL=https://localhost:8443/mdm/v1
openssl x509 -in phone-1.pem -outform DER | base64 -w0 |
    jq -R '{userPrincipalName: "anna@example.com", deviceId: "phone-1", device: {certificate: .}, format: "modern"}' >request.json
ID=$(call -d @request.json $URL/deviceRequests | jq -r '.requests[0].requestId')
completed() { call "$URL/requests/$ID" | grep -q '"state":"completed"'; }
holds "the request is completed" within 60 completed
call -X POST "$URL/requests/$ID/collect" >delivery.json
jq -r .encryptedPassword delivery.json | base64 -d >password.p7m
holds "the device reads the password" sh -c '[ "$(openssl cms -decrypt -inform DER -in password.p7m -recip phone-1.pem -inkey phone-1.key)" = "$(cat anna-password)" ]'
cd /run/try/source
