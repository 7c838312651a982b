#include "base/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/signal.h"

namespace citius {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  CHECK(state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(const void* data, size_t size) { CHECK(EVP_DigestUpdate(state_->context, data, size) == 1); }

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, bytes.data(), &size) == 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

std::string sha256_file(const std::filesystem::path& path) { return sha256(MappedFile(path).text()); }

std::string sha256(std::string_view text, const std::function<void(uint64_t)>& progress) {
  Sha256 digest;
  constexpr size_t kStep = size_t{4} << 20;
  for (size_t begin = 0; begin < text.size(); begin += kStep) {
    check_interrupted();
    const std::string_view part = text.substr(begin, kStep);
    digest.update(part.data(), part.size());
    if (progress) progress(begin + part.size());
  }
  return digest.finish();
}

}  // namespace citius
