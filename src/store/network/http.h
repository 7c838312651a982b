// HTTP through libcurl: small texts, headers, and resumable downloads with retries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace citius {

struct HttpOptions {
  std::string token;        // sent as a bearer token, to the first host only
  bool allow_http = false;  // for a mirror that the user named
};

struct HttpHeaders {
  long status = 0;
  std::map<std::string, std::string> fields;  // names in lower case; x-linked-* of a redirect are kept
  std::string get(const std::string& name) const;
};

/// GET of a document of at most `max_bytes`. Throws Error{kNetwork}.
std::string http_text(const std::string& address, size_t max_bytes, const HttpOptions& options);

/// HEAD, following redirects. Throws Error{kNetwork} for any status but success.
HttpHeaders http_head(const std::string& address, const HttpOptions& options);

/// Whether an ETag stands for exact bytes (RFC 9110, 8.8.3): it is neither weak nor absent.
bool is_strong_etag(std::string_view etag);

/// GET into `file`, going on after the bytes that it holds if they are of the version `etag`, a strong one, and the server still
/// has that version; from the beginning otherwise. Retries what may pass. `what` names the progress bar.
/// Throws Error: kNetwork, kResource (disk), kInterrupted; the file keeps what came, for the next time.
void http_download(const std::string& address, const std::filesystem::path& file, const std::string& etag, const std::string& what,
                   const HttpOptions& options);

}  // namespace citius
