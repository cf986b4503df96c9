"""Makes keys with OpenSSL in one process: what `openssl genpkey` does, without a process to be started for each key.

Calls the system's libcrypto 3 by ctypes. Says on its first line which version that is; then reads a kind of key from each line (`RSA 2048`,
`EC P-256`), makes one, encodes it as PKCS#8, and answers with the seconds that took.
"""

import ctypes
import ctypes.util
import sys
import time

crypto = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
for name in ("EVP_PKEY_Q_keygen", "EVP_PKEY2PKCS8"):
    getattr(crypto, name).restype = ctypes.c_void_p
crypto.OpenSSL_version.restype = ctypes.c_char_p


def make(algorithm, parameter):
    if algorithm == "RSA":
        parameter = ctypes.c_size_t(int(parameter))
    else:
        parameter = ctypes.c_char_p(parameter.encode())
    begin = time.perf_counter()
    key = crypto.EVP_PKEY_Q_keygen(None, None, algorithm.encode(), parameter)
    if not key:
        raise SystemExit(f"OpenSSL makes no key {algorithm} {parameter}")
    key = ctypes.c_void_p(key)
    info = ctypes.c_void_p(crypto.EVP_PKEY2PKCS8(key))
    length = crypto.i2d_PKCS8_PRIV_KEY_INFO(info, None)
    encoded = ctypes.create_string_buffer(length)
    place = ctypes.c_void_p(ctypes.addressof(encoded))
    crypto.i2d_PKCS8_PRIV_KEY_INFO(info, ctypes.byref(place))
    took = time.perf_counter() - begin
    crypto.PKCS8_PRIV_KEY_INFO_free(info)
    crypto.EVP_PKEY_free(key)
    return took


print(crypto.OpenSSL_version(0).decode(), flush=True)
for line in sys.stdin:
    print(make(*line.split()), flush=True)
