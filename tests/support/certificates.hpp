// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_CERTIFICATES_HPP
#define SLUICE_TESTS_SUPPORT_CERTIFICATES_HPP

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

/// An authority of the test's own and what it has signed, made by openssl(1) in a temporary folder. Ends with the object.
///
///     ca          the authority                         stranger    another authority's, for localhost
///     server      for localhost and 127.0.0.1           elsewhere   for elsewhere.test
///     expired     as server, in 2020                    client      for a client
///
/// Each as <name>.pem and <name>.key.
class Certificates {
public:
    Certificates() {
        std::string folder = (std::filesystem::temp_directory_path() / "sluice-tls-XXXXXX").string();
        if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error{"cannot make a temporary folder"};
        folder_ = folder;
        std::ofstream{folder_ + "/make.sh"} << script;
        if (std::system(("cd '" + folder_ + "' && sh -e make.sh > log 2>&1").c_str()) != 0) {
            std::ifstream log{folder_ + "/log"};
            const std::string text{std::istreambuf_iterator<char>{log}, {}};
            std::filesystem::remove_all(folder_);
            throw std::runtime_error{"openssl(1) makes no certificates (Debian and Ubuntu: openssl): " + text};
        }
    }
    ~Certificates() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    Certificates(const Certificates&) = delete;
    Certificates& operator=(const Certificates&) = delete;

    std::string file(std::string_view name) const { return folder_ + "/" + std::string{name}; }
    std::string ca() const { return file("ca.pem"); }

    /// The options of a redis-server with this certificate that speaks TLS on a port beside its own, with its peers too.
    std::vector<std::string> options(int tls_port, const std::string& name = "server",
                                     bool wants_client = false) const {
        return {"--tls-port",         std::to_string(tls_port),   "--tls-cert-file",    file(name + ".pem"),
                "--tls-key-file",     file(name + ".key"),        "--tls-ca-cert-file", ca(),
                "--tls-auth-clients", wants_client ? "yes" : "no"};
    }

private:
    static constexpr const char* script = R"(
cat > ca.cnf <<END
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
policy = any
default_md = sha256
[any]
commonName = supplied
[req]
distinguished_name = nobody
[nobody]
[authority]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
[server]
subjectAltName = DNS:localhost,IP:127.0.0.1
[elsewhere]
subjectAltName = DNS:elsewhere.test
[client]
extendedKeyUsage = clientAuth
END
touch index.txt
key() { openssl ecparam -genkey -noout -name prime256v1 -out $1.key; }
authority() {
    key $1
    openssl req -config ca.cnf -x509 -key $1.key -subj "/CN=$1" -days 2 -extensions authority -out $1.pem
}
# signed NAME EXTENSIONS AUTHORITY FROM UNTIL
signed() {
    key $1
    openssl req -config ca.cnf -new -key $1.key -subj "/CN=$1" -out $1.csr
    openssl ca -config ca.cnf -batch -notext -in $1.csr -out $1.pem -extensions $2 -cert $3.pem -keyfile $3.key \
        -startdate $4 -enddate $5
}
authority ca
authority other
signed server server ca 20200101000000Z 20491231000000Z
signed expired server ca 20200101000000Z 20200102000000Z
signed elsewhere elsewhere ca 20200101000000Z 20491231000000Z
signed stranger server other 20200101000000Z 20491231000000Z
signed client client ca 20200101000000Z 20491231000000Z
openssl ec -in client.key -aes128 -passout pass:secret -out locked.key
)";

    std::string folder_;
};

#endif
