import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;

/** Opens every key store of a list (a file and a file with its password on each line), and says how many entries it found, with the
    certificate of each key. */
public class Opens {
    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] files = line.split("\t");
            String secret = Files.readString(Path.of(files[1]), StandardCharsets.UTF_8);
            char[] password = secret.substring(0, secret.length() - 1).toCharArray();
            System.out.println(files[0] + "\t" + entries(Path.of(files[0]), password));
        }
    }

    private static String entries(Path file, char[] password) {
        try (InputStream in = Files.newInputStream(file)) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(in, password);
            int keys = 0;
            int certificates = 0;
            List<String> joined = new ArrayList<>();
            for (String alias : Collections.list(store.aliases())) {
                if (store.isKeyEntry(alias)) {
                    store.getKey(alias, password);
                    keys++;
                    Certificate[] chain = store.getCertificateChain(alias);
                    if (chain != null && chain.length > 0) {
                        joined.add(HexFormat.of().formatHex(chain[0].getEncoded()));
                    }
                } else {
                    certificates++;
                }
            }
            return "opened\t" + keys + "\t" + certificates + "\t" + String.join(" ", joined);
        } catch (Exception | Error error) {
            return "refused\t" + String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
        }
    }
}
