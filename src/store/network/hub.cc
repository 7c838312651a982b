// Models of the Hugging Face hub or of a mirror: list of files at a fixed commit, then each file, checked.
#include <openssl/evp.h>

#include <array>
#include <set>

#include "base/digest.h"
#include "base/env.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "store/fetch.h"
#include "store/model_files.h"
#include "store/network/http.h"

namespace citius {
namespace {

// Object name that git gives a file: what the hub states for files that are not in large file storage.
std::string git_blob_sha1(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string header = fmt::format("blob {}", file.bytes().size()) + '\0';
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  if (EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr) != 1 || EVP_DigestUpdate(context.get(), header.data(), header.size()) != 1 ||
      EVP_DigestUpdate(context.get(), file.bytes().data(), file.bytes().size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), bytes.data(), &size) != 1) {
    fail(ErrorKind::kResource, "SHA-1", "OpenSSL refuses it; digests of small files cannot be checked");
  }
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

// The digest inside an ETag: no quotes, no weak mark.
std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  return etag;
}

// What the server says a file's content is.
struct Expected {
  std::string digest;  // 64 digits: SHA-256; 40: git's SHA-1; otherwise unknown
  std::string etag;    // as sent, for resuming
};

Expected expected_of(const std::string& address, const HttpOptions& options) {
  const HttpHeaders headers = http_head(address, options);
  const std::string linked = headers.get("x-linked-etag");
  return {bare_etag(linked.empty() ? headers.get("etag") : linked), headers.get("etag")};
}

bool is_whole(const std::filesystem::path& file, const std::string& digest) {
  if (digest.size() == 64) return sha256_file(file) == digest;
  return digest.size() == 40 && git_blob_sha1(file) == digest;
}

void fetch_file(const std::string& address, const std::string& inner, const std::filesystem::path& file, const HttpOptions& options) {
  const Expected expected = expected_of(address, options);
  const bool checkable = expected.digest.size() == 64 || expected.digest.size() == 40;
  if (!checkable) {
    fail(ErrorKind::kNetwork, address, "the server states no digest (ETag '{}'), expected SHA-256 or SHA-1", expected.etag);
  }
  std::filesystem::create_directories(file.parent_path());
  if (std::filesystem::exists(file)) {
    if (is_whole(file, expected.digest)) return;
    std::filesystem::remove(file);
  }
  const std::filesystem::path partial = file.string() + ".part";
  const bool resumed = std::filesystem::exists(partial);
  for (const bool again : {resumed, false}) {
    http_download(address, partial, expected.etag, inner, options);
    if (is_whole(partial, expected.digest)) break;
    std::filesystem::remove(partial);
    // A resumed file may have begun with another version: once more from the beginning.
    if (!again) fail_input(address, "content differs from the digest that the server states, {}", expected.digest);
  }
  std::filesystem::rename(partial, file);
}

}  // namespace

std::string fetch_hub(const Source& source, const std::string& wanted, const std::filesystem::path& directory) {
  const std::optional<std::string> mirror = env("HF_ENDPOINT");
  std::string endpoint = mirror.value_or("https://huggingface.co");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  // Only a mirror that the user named can be without TLS, and then everyone on the way would read the token.
  const bool plain = endpoint.starts_with("http://");
  const std::string token = env("HF_TOKEN").value_or("");
  if (plain && !token.empty()) log_warning("HF_TOKEN is not sent: HF_ENDPOINT, {}, is not https", endpoint);
  const HttpOptions options{plain ? "" : token, /*allow_http=*/plain};
  const std::string api = fmt::format("{}/api/models/{}/revision/{}", endpoint, source.location, source.version);
  const json::value listing = parse_json(http_text(api, size_t{64} << 20, options), api);
  const JsonObject object(listing, api);
  const std::string commit = object.get_string("sha");
  std::vector<std::string> paths;
  for (const json::value& item : object.get_array("siblings")) {
    paths.push_back(JsonObject(item, api).get_string("rfilename"));
    check_inner_path(paths.back(), api);
  }
  const auto address_of = [&](const std::string& path) {
    return fmt::format("{}/{}/resolve/{}/{}", endpoint, source.location, commit, path);
  };
  const ModelFiles chosen = choose_model_files(
      paths, wanted, source.text, [&](const std::string& path) { return http_text(address_of(path), kMaxListBytes, options); });
  std::set<std::filesystem::path> wanted_files;
  for (const std::string& path : chosen.files) {
    const std::string inner = path.substr(chosen.directory.size());
    fetch_file(address_of(path), inner, directory / inner, options);
    wanted_files.insert((directory / inner).lexically_normal());
  }
  // What was begun of another commit is no part of the model.
  std::vector<std::filesystem::path> stale;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_directory() && !wanted_files.contains(entry.path().lexically_normal())) stale.push_back(entry.path());
  }
  for (const std::filesystem::path& file : stale) std::filesystem::remove(file);
  return commit;
}

void fetch_address(const std::string& address, const std::filesystem::path& file) {
  const std::string etag = http_head(address, {}).get("etag");
  // No digest would tell that two versions were mixed: what was begun keeps the ETag that it was begun under.
  const std::filesystem::path begun_under = file.string() + ".etag";
  if (!std::filesystem::exists(begun_under) || read_file(begun_under, 1 << 16) != etag) {
    std::filesystem::remove(file);
    write_file(begun_under, etag);
  }
  http_download(address, file, etag, address.substr(address.rfind('/') + 1), {});
}

}  // namespace citius
