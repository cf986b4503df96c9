import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.SecretKey;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

/**
 * The engine's job as one would write it in Java: SunPKCS11 for the token, the JDK for the message.
 *
 * <p>SunPKCS11 has no RSAES-OAEP, so the token does raw RSA and the padding is removed here, as its users do. The password is then encrypted to
 * the device: CMS EnvelopedData with RSAES-OAEP (SHA-256) and AES-256-CBC; the JDK has no public CMS, so the DER is written here. What the engine
 * does besides is left out: no importer's signature, no check of the device's chain, no processes of their own, no journal. Cipher objects are
 * made once per thread, the key is looked up once, the certificate parsed once.
 *
 * <p>Prints one JSON line: operations per second and resident bytes.
 */
public final class CustodyLoop {
    private static final int WARM_UP = 20;

    private CustodyLoop() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            options.put(arguments[at], arguments[at + 1]);
        }
        int threads = Integer.parseInt(options.get("--threads"));
        int each = Integer.parseInt(options.get("--operations")) / threads;
        char[] pin = Files.readString(Path.of(options.get("--pin-file"))).strip().toCharArray();
        byte[] ciphertext = Files.readAllBytes(Path.of(options.get("--ciphertext")));
        X509Certificate device;
        try (var stream = Files.newInputStream(Path.of(options.get("--device-certificate")))) {
            device = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
        Provider token =
                Security.getProvider("SunPKCS11")
                        .configure("--name=Token\nlibrary=" + options.get("--module") + "\nslotListIndex=" + options.get("--slot-index"));
        Security.addProvider(token);
        KeyStore store = KeyStore.getInstance("PKCS11", token);
        store.load(null, pin);
        PrivateKey key = (PrivateKey) store.getKey(options.get("--key-label"), null);
        if (key == null) {
            throw new IllegalStateException("the token shows no such key: SunPKCS11 wants a certificate with the key's CKA_ID beside it");
        }
        CountDownLatch ready = new CountDownLatch(threads);
        CountDownLatch start = new CountDownLatch(1);
        Worker[] workers = new Worker[threads];
        for (int number = 0; number < threads; number++) {
            workers[number] = new Worker(token, key, ciphertext, device, each, ready, start);
            workers[number].start();
        }
        ready.await();
        long begin = System.nanoTime();
        start.countDown();
        for (Worker worker : workers) {
            worker.join();
            if (worker.problem != null) {
                throw worker.problem;
            }
        }
        double seconds = (System.nanoTime() - begin) / 1e9;
        if (options.containsKey("--message")) {
            Files.write(Path.of(options.get("--message")), workers[0].message);
        }
        System.out.printf("{\"perSecond\":%.1f,\"residentBytes\":%d}%n", each * threads / seconds, residentBytes());
    }

    private static long residentBytes() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
            }
        }
        return 0;
    }

    private static final class Worker extends Thread {
        private final byte[] ciphertext;
        private final int each;
        private final int modulusBytes;
        private final CountDownLatch ready;
        private final CountDownLatch start;
        private final SecureRandom random = new SecureRandom();
        private final Cipher raw;
        private final Cipher oaep;
        private final Cipher aes = Cipher.getInstance("AES/CBC/PKCS5Padding");
        private final KeyGenerator keys = KeyGenerator.getInstance("AES");
        private final byte[] recipientName;
        byte[] message;
        Exception problem;

        Worker(
                Provider token,
                PrivateKey key,
                byte[] ciphertext,
                X509Certificate device,
                int each,
                CountDownLatch ready,
                CountDownLatch start)
                throws Exception {
            this.ciphertext = ciphertext;
            this.each = each;
            this.ready = ready;
            this.start = start;
            // The key of a token tells nothing but its name; a ciphertext is as long as the modulus.
            modulusBytes = ciphertext.length;
            raw = Cipher.getInstance("RSA/ECB/NoPadding", token);
            raw.init(Cipher.DECRYPT_MODE, key);
            oaep = Cipher.getInstance("RSA/ECB/OAEPPadding");
            oaep.init(
                    Cipher.ENCRYPT_MODE,
                    device.getPublicKey(),
                    new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
            keys.init(256);
            recipientName =
                    Der.sequence(device.getIssuerX500Principal().getEncoded(), Der.integer(device.getSerialNumber()));
        }

        @Override
        public void run() {
            try {
                for (int count = 0; count < WARM_UP; count++) {
                    once();
                }
                ready.countDown();
                start.await();
                for (int count = 0; count < each; count++) {
                    message = once();
                }
            } catch (Exception thrown) {
                problem = thrown;
                ready.countDown();
            }
        }

        private byte[] once() throws Exception {
            byte[] password = unpad(raw.doFinal(ciphertext));
            SecretKey key = keys.generateKey();
            byte[] iv = new byte[16];
            random.nextBytes(iv);
            aes.init(Cipher.ENCRYPT_MODE, key, new IvParameterSpec(iv));
            byte[] content = aes.doFinal(password);
            byte[] encryptedKey = oaep.doFinal(key.getEncoded());
            byte[] zero = Der.integer(BigInteger.ZERO);
            byte[] recipient =
                    Der.sequence(zero, recipientName, Der.OAEP_SHA256, Der.tagged(0x04, encryptedKey));
            byte[] encryptedContent =
                    Der.sequence(
                            Der.ID_DATA,
                            Der.sequence(Der.AES_256_CBC, Der.tagged(0x04, iv)),
                            Der.tagged(0x80, content));
            byte[] enveloped = Der.sequence(zero, Der.tagged(0x31, recipient), encryptedContent);
            return Der.sequence(Der.ENVELOPED_DATA, Der.tagged(0xa0, enveloped));
        }

        /** RFC 8017, section 7.1.2, with SHA-1 and an empty label. */
        private byte[] unpad(byte[] result) throws Exception {
            byte[] encoded = new byte[modulusBytes];
            System.arraycopy(result, 0, encoded, modulusBytes - result.length, result.length);
            MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
            int hash = sha1.getDigestLength();
            byte[] seed = Arrays.copyOfRange(encoded, 1, 1 + hash);
            byte[] block = Arrays.copyOfRange(encoded, 1 + hash, encoded.length);
            xor(seed, mask(sha1, block, hash));
            xor(block, mask(sha1, seed, block.length));
            boolean good = encoded[0] == 0 && MessageDigest.isEqual(sha1.digest(), Arrays.copyOf(block, hash));
            int at = hash;
            while (at < block.length && block[at] == 0) {
                at++;
            }
            if (!good || at == block.length || block[at] != 1) {
                throw new IllegalStateException("bad padding");
            }
            return Arrays.copyOfRange(block, at + 1, block.length);
        }

        private static byte[] mask(MessageDigest hash, byte[] seed, int length) {
            ByteArrayOutputStream mask = new ByteArrayOutputStream();
            for (int counter = 0; mask.size() < length; counter++) {
                hash.update(seed);
                mask.writeBytes(hash.digest(new byte[] {0, 0, (byte) (counter >> 8), (byte) counter}));
            }
            return Arrays.copyOf(mask.toByteArray(), length);
        }

        private static void xor(byte[] to, byte[] with) {
            for (int at = 0; at < to.length; at++) {
                to[at] ^= with[at];
            }
        }
    }

    /** As much of DER (X.690) as the message needs. */
    private static final class Der {
        static final byte[] ID_DATA = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01);
        static final byte[] ENVELOPED_DATA = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03);
        static final byte[] AES_256_CBC = oid(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a);
        private static final byte[] SHA256 =
                sequence(oid(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01), tagged(0x05));
        private static final byte[] MGF1 = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08);
        static final byte[] OAEP_SHA256 =
                sequence(
                        oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07),
                        sequence(tagged(0xa0, SHA256), tagged(0xa1, sequence(MGF1, SHA256))));

        static byte[] sequence(byte[]... parts) {
            return tagged(0x30, parts);
        }

        static byte[] integer(BigInteger value) {
            return tagged(0x02, value.toByteArray());
        }

        private static byte[] oid(int... octets) {
            byte[] bytes = new byte[octets.length];
            for (int at = 0; at < octets.length; at++) {
                bytes[at] = (byte) octets[at];
            }
            return tagged(0x06, bytes);
        }

        static byte[] tagged(int tag, byte[]... parts) {
            int length = 0;
            for (byte[] part : parts) {
                length += part.length;
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream(length + 4);
            out.write(tag);
            if (length < 0x80) {
                out.write(length);
            } else if (length < 0x100) {
                out.write(0x81);
                out.write(length);
            } else {
                out.write(0x82);
                out.write(length >> 8);
                out.write(length);
            }
            for (byte[] part : parts) {
                out.writeBytes(part);
            }
            return out.toByteArray();
        }
    }
}
