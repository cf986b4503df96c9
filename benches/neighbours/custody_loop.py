"""The engine's job as one would write it in Python: python-pkcs11 for the token, cryptography and asn1crypto for the message.

Decrypts the password on the token (RSAES-OAEP with SHA-1) and encrypts it to the device: CMS EnvelopedData with RSAES-OAEP (SHA-256) and
AES-256-CBC. What the engine does besides is left out: no importer's signature, no check of the device's chain, no processes of their own, no
journal. One process per worker with one session (python-pkcs11 initialises libraries without locking: with threads SoftHSM crashes), the
key looked up once, the device's certificate parsed once.

Prints one JSON line: operations per second and resident bytes.
"""

import argparse
import json
import multiprocessing
import os
import threading
import time

import pkcs11
from asn1crypto import algos, cms, core, x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding as block_padding
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pkcs11 import Attribute, MGF, Mechanism, ObjectClass

SHA1_OAEP = (Mechanism.SHA_1, MGF.SHA1, None)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("module", "token-label", "pin-file", "key-label", "ciphertext", "device-certificate"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--operations", type=int, required=True)
    parser.add_argument("--add-certificate", help="store this certificate beside the key, which Java needs to see it; then end")
    parser.add_argument("--message", help="write the last message there")
    return parser.parse_args()


def find_key(session, label):
    return session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)


class Device:
    def __init__(self, der):
        certificate = x509.load_der_x509_certificate(der)
        self.public_key = certificate.public_key()
        parsed = asn1_x509.Certificate.load(der)
        self.rid = cms.RecipientIdentifier(
            {"issuer_and_serial_number": cms.IssuerAndSerialNumber({"issuer": parsed.issuer, "serial_number": parsed.serial_number})}
        )

    def envelop(self, content):
        key, iv = os.urandom(32), os.urandom(16)
        padder = block_padding.PKCS7(128).padder()
        padded = padder.update(content) + padder.finalize()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(padded) + encryptor.finalize()
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        encrypted_key = self.public_key.encrypt(key, oaep)
        sha256 = {"algorithm": "sha256"}
        recipient = cms.KeyTransRecipientInfo(
            {
                "version": "v0",
                "rid": self.rid,
                "key_encryption_algorithm": cms.KeyEncryptionAlgorithm(
                    {
                        "algorithm": "rsaes_oaep",
                        "parameters": algos.RSAESOAEPParams(
                            {"hash_algorithm": sha256, "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": sha256}}
                        ),
                    }
                ),
                "encrypted_key": encrypted_key,
            }
        )
        enveloped = cms.EnvelopedData(
            {
                "version": "v0",
                "recipient_infos": [cms.RecipientInfo(name="ktri", value=recipient)],
                "encrypted_content_info": {
                    "content_type": "data",
                    "content_encryption_algorithm": {"algorithm": "aes256_cbc", "parameters": core.OctetString(iv)},
                    "encrypted_content": ciphertext,
                },
            }
        )
        return cms.ContentInfo({"content_type": "enveloped_data", "content": enveloped}).dump()


def resident_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def read(path):
    with open(path, "rb") as file:
        return file.read()


def work(args, pin, one_at_a_time, begin_together, results):
    try:
        # A login rewrites SoftHSM's file of the token in place: who reads it just then finds no token.
        with one_at_a_time:
            session = pkcs11.lib(args.module).get_token(token_label=args.token_label).open(user_pin=pin)
        key = find_key(session, args.key_label)
        ciphertext = read(args.ciphertext)
        device = Device(read(args.device_certificate))

        def once():
            return device.envelop(key.decrypt(ciphertext, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=SHA1_OAEP))

        for _ in range(20):
            once()
    except BaseException:
        begin_together.abort()
        raise
    begin_together.wait()
    message = b""
    for _ in range(args.operations // args.processes):
        message = once()
    results.put((resident_bytes(), message))


def main():
    args = arguments()
    pin = read(args.pin_file).decode().strip()
    token = pkcs11.lib(args.module).get_token(token_label=args.token_label)
    first = token.open(user_pin=pin, rw=args.add_certificate is not None)
    if args.add_certificate:
        der = read(args.add_certificate)
        parsed = asn1_x509.Certificate.load(der)
        first.create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.LABEL: args.key_label,
                Attribute.ID: find_key(first, args.key_label)[Attribute.ID],
                Attribute.SUBJECT: parsed.subject.dump(),
                Attribute.ISSUER: parsed.issuer.dump(),
                Attribute.SERIAL_NUMBER: parsed["tbs_certificate"]["serial_number"].dump(),
                Attribute.VALUE: der,
            }
        )
        return
    first.close()
    # SoftHSM does not outlive a fork, so that each process is a fresh one.
    context = multiprocessing.get_context("spawn")
    one_at_a_time = context.Lock()
    begin_together = context.Barrier(args.processes + 1)
    results = context.Queue()
    shared = (args, pin, one_at_a_time, begin_together, results)
    workers = [context.Process(target=work, args=shared, daemon=True) for _ in range(args.processes)]
    for worker in workers:
        worker.start()
    try:
        begin_together.wait(timeout=60)
    except threading.BrokenBarrierError:
        raise SystemExit("a process failed: see above") from None
    begin = time.perf_counter()
    finished = [results.get(timeout=300) for _ in workers]
    elapsed = time.perf_counter() - begin
    if args.message:
        with open(args.message, "wb") as file:
            file.write(finished[0][1])
    operations = args.operations // args.processes * args.processes
    total = resident_bytes() + sum(resident for resident, _ in finished)
    print(json.dumps({"perSecond": operations / elapsed, "residentBytes": total}))


if __name__ == "__main__":
    main()
