# Sourced by inside.sh: token, certificates and configuration, as docs/deployment.md and docs/guide.md have them.
MODULE=$(ls /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so 2>/dev/null | head -n 1)
umask 077
work=/run/try/work
mkdir -p $work
cd $work
say "-- token, PIN and keys as credentials"
install -d -o pfx-engine -g pfx-callers -m 700 /var/lib/pfx-engine /var/lib/pfx-engine/tokens
echo 'directories.tokendir = /var/lib/pfx-engine/tokens' >/etc/pfx-engine/softhsm2.conf
chmod 640 /etc/pfx-engine/softhsm2.conf
chgrp pfx-engine /etc/pfx-engine/softhsm2.conf
install -d -o pfx-engine -m 700 /run/try/ceremony
for pin in pin so-pin; do openssl rand -hex 8 >/run/try/ceremony/$pin; done
chown pfx-engine /run/try/ceremony/*
key() { SOFTHSM2_CONF=/etc/pfx-engine/softhsm2.conf as pfx-engine pfx-connector key "$@" --module "$MODULE" --token-label pfx-custody; }
cd /
holds "token" key init-token --pin-file /run/try/ceremony/pin --so-pin-file /run/try/ceremony/so-pin
holds "custody key" key generate --pin-file /run/try/ceremony/pin --key-label pfx-custody-1
key export-public --pin-file /run/try/ceremony/pin --key-label pfx-custody-1 --out /run/try/ceremony/custody.pem >/dev/null
FINGERPRINT=$(key show --pin-file /run/try/ceremony/pin --key-label pfx-custody-1 --json | jq -r .fingerprint)
cp /run/try/ceremony/custody.pem $work/
mkdir -p /etc/credstore.encrypted
seal() { systemd-creds encrypt --with-key=host --name="$1" - /etc/credstore.encrypted/"$1"; }
holds "the PIN is sealed" seal pfx-engine.pin </run/try/ceremony/pin
rm -rf /run/try/ceremony
cd $work

ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout $1-ca.key -out $1-ca.pem 2>/dev/null
}
issue() { # name, authority, key type, extensions
    openssl req -newkey $3 -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr 2>/dev/null
    openssl x509 -req -in $1.csr -CA $2-ca.pem -CAkey $2-ca.key -days 30 -extfile <(printf "$4") -out $1.pem 2>/dev/null
}
EC="ec -pkeyopt ec_paramgen_curve:P-256"
for name in gateway connectors devices smime; do ca $name; done
issue localhost gateway "$EC" "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n"
issue connector-1 connectors "$EC" "extendedKeyUsage=clientAuth\n"
issue phone-1 devices rsa:2048 "keyUsage=critical,digitalSignature,keyEncipherment\n"
issue anna smime rsa:2048 "extendedKeyUsage=emailProtection\nsubjectAltName=email:anna@example.com\n"
pfx-connector import signer --out-key signer.key --out-public signer.pem >/dev/null
holds "the connector's key is sealed" seal pfx-connector.tls-key <connector-1.key
holds "the gateway's key is sealed" seal pfx-gateway.tls-key <localhost.key

holds "the audit key" pfx-connector audit key generate --out-key audit.key --out-public audit.pem
holds "and it is sealed" seal pfx-engine.audit-key <audit.key

put() { install -o root -g "$1" -m 640 "$2" "/etc/$1/$3"; }
put pfx-engine devices-ca.pem devices-ca.pem
put pfx-engine signer.pem pki-team.pem
put pfx-connector gateway-ca.pem gateway-ca.pem
put pfx-connector connector-1.pem connector.pem
put pfx-gateway localhost.pem gateway.pem
put pfx-gateway connectors-ca.pem connectors-ca.pem
cat >engine.toml <<T
[engine]
socket = "/run/pfx-engine/engine.sock"
allowed_uids = [$(id -u pfx-connector)]
device_anchors = ["devices-ca.pem"]
[engine.token]
module = "$MODULE"
label = "pfx-custody"
pin_credential = "pfx-engine.pin"
environment = { SOFTHSM2_CONF = "/etc/pfx-engine/softhsm2.conf" }
[engine.audit]
folder = "/var/lib/pfx-engine/audit"
signing_key_file = "/run/credentials/pfx-connector-engine.service/pfx-engine.audit-key"
[[engine.importers]]
name = "pki-team"
public_key = "pki-team.pem"
T
cat >connector.toml <<'T'
[connector]
instance = "connector-1"
gateway = "https://localhost:8443"
gateway_ca = "gateway-ca.pem"
certificate = "connector.pem"
private_key = "/run/credentials/pfx-connector.service/pfx-connector.tls-key"
engine_socket = "/run/pfx-engine/engine.sock"
journal = "/var/lib/pfx-connector/journal.db"
control_socket = "/run/pfx-connector/control.sock"
wait_ms = 1000
[connector.log]
directory = "/var/log/pfx-connector"
T
cat >gateway.toml <<'T'
[gateway]
listen = "127.0.0.1:8443"
certificate = "gateway.pem"
private_key = "/run/credentials/pfx-connector-gateway.service/pfx-gateway.tls-key"
connector_ca = "connectors-ca.pem"
database = "/var/lib/pfx-gateway/gateway.db"
T
put pfx-engine engine.toml engine.toml
put pfx-connector connector.toml connector.toml
put pfx-gateway gateway.toml gateway.toml
cat >import.toml <<T
[fips]
exceptions = ["rsa-key-transport-in-module"]
[import]
gateway = "https://localhost:8443"
gateway_ca = "gateway-ca.pem"
token_file = "importer-token"
custody_public_key = "custody.pem"
custody_fingerprint = "$FINGERPRINT"
key_name = "pfx-custody-1"
padding = "oaepSha1"
signing_key = "signer.key"
T
cd /run/try/source
