#include "store/network/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "base/env.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signal.h"
#include "base/version.h"

namespace citius {
namespace {

constexpr int kTries = 5;

struct CurlCloser {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct ListCloser {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

int stop_on_interrupt(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return interrupted() ? 1 : 0; }

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& headers = *static_cast<HttpHeaders*>(user);
  std::string_view line(data, size);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    // A further answer after a redirect: only what the hub says of the linked file stays.
    std::erase_if(headers.fields, [](const auto& field) { return !field.first.starts_with("x-linked-"); });
    return size;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  line.remove_prefix(colon + 1);
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (name.starts_with("x-linked-")) {
    headers.fields.emplace(name, line);  // the first answer's
  } else {
    headers.fields[name] = line;
  }
  return size;
}

// One request: the handle with everything that all requests share.
class Request {
 public:
  Request(const std::string& address, const HttpOptions& options) : address_(address), curl_(curl_easy_init()) {
    if (!curl_) fail(ErrorKind::kResource, "network", "libcurl cannot start");
    set(CURLOPT_URL, address.c_str());
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 10L);
    set(CURLOPT_CONNECTTIMEOUT, 30L);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, 60L);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, stop_on_interrupt);
    set(CURLOPT_ERRORBUFFER, message_);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, &headers);
    set(CURLOPT_USERAGENT, user_agent_.c_str());
    set(CURLOPT_PROTOCOLS_STR, options.allow_http ? "http,https" : "https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, options.allow_http ? "http,https" : "https");
    if (!options.token.empty()) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      set(CURLOPT_XOAUTH2_BEARER, options.token.c_str());
    }
    // libcurl has the distribution's certificates built in; these are the variables by which users add their own.
    for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
      if (const auto bundle = env(name)) {
        set(CURLOPT_CAINFO, bundle->c_str());
        break;
      }
    }
  }

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(curl_.get(), option, value);
  }
  void add_header(const std::string& line) {
    list_.reset(curl_slist_append(list_.release(), line.c_str()));
    set(CURLOPT_HTTPHEADER, list_.get());
  }
  CURLcode perform() {
    headers = {};
    const CURLcode code = curl_easy_perform(curl_.get());
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &headers.status);
    check_interrupted();
    return code;
  }
  long status() const {
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  // What went wrong, for a message.
  std::string describe(CURLcode code) const {
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT) {
      return fmt::format("{}; is the network reachable? (https_proxy names a proxy, HF_ENDPOINT a mirror of the hub)", message_);
    }
    if (code != CURLE_OK) return message_[0] != '\0' ? message_ : curl_easy_strerror(code);
    std::string text = fmt::format("the server answered {}", headers.status);
    if (headers.status == 401 || headers.status == 403) text += "; set HF_TOKEN if the model asks for a login";
    if (headers.status == 404) text += "; is the name right?";
    return text;
  }
  // Whether trying again may help.
  bool may_pass(CURLcode code) const {
    if (code == CURLE_OK) return headers.status == 429 || headers.status >= 500;
    return code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT && code != CURLE_WRITE_ERROR &&
           code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_TOO_MANY_REDIRECTS;
  }
  [[noreturn]] void fail_network(CURLcode code) const { fail(ErrorKind::kNetwork, address_, "download failed: {}", describe(code)); }

  HttpHeaders headers;

 private:
  std::string address_;
  std::string user_agent_ = std::string("citius/") + version();
  char message_[CURL_ERROR_SIZE] = {};
  std::unique_ptr<curl_slist, ListCloser> list_;
  std::unique_ptr<CURL, CurlCloser> curl_;
};

void pause_before(int attempt) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500 << attempt);
  while (std::chrono::steady_clock::now() < end) {
    check_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Runs `make` (one attempt: it returns nothing when done, or what went wrong) until it is done or hopeless.
template <typename Attempt>
void with_retries(const Attempt& attempt) {
  std::string told;
  for (int number = 0;; ++number) {
    const bool last = number + 1 == kTries;
    const std::optional<std::string> problem = attempt(last);
    if (!problem) return;
    if (*problem != told) log_warning("{}; trying again, up to {} times", *problem, kTries - 1);
    told = *problem;
    pause_before(number);
  }
}

struct TextSink {
  std::string text;
  size_t max_bytes = 0;
};

size_t on_text(char* data, size_t, size_t size, void* user) {
  auto& sink = *static_cast<TextSink*>(user);
  if (sink.text.size() + size > sink.max_bytes) return 0;
  sink.text.append(data, size);
  return size;
}

// The file being downloaded. What the server sends goes behind what is there (206) or in its place (200).
struct FileSink {
  Request* request = nullptr;
  int fd = -1;
  uint64_t size = 0;
  bool started = false;
  int error = 0;  // errno of a failed write
  Progress* progress = nullptr;

  bool start() {
    started = true;
    const long status = request->status();
    if (status == 206) return true;
    if (status != 200) return true;  // an error page; dropped by on_file
    size = 0;
    return ::ftruncate(fd, 0) == 0 && ::lseek(fd, 0, SEEK_SET) == 0;
  }
};

size_t on_file(char* data, size_t, size_t size, void* user) {
  auto& sink = *static_cast<FileSink*>(user);
  if (!sink.started && !sink.start()) return 0;
  const long status = sink.request->status();
  if (status != 200 && status != 206) return size;
  size_t done = 0;
  while (done < size) {
    const ssize_t put = ::write(sink.fd, data + done, size - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      sink.error = errno;
      return 0;
    }
    done += static_cast<size_t>(put);
  }
  sink.size += size;
  sink.progress->update(sink.size);
  return size;
}

uint64_t file_size(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

}  // namespace

std::string HttpHeaders::get(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

bool is_strong_etag(std::string_view etag) { return etag.starts_with('"'); }

std::string http_text(const std::string& address, size_t max_bytes, const HttpOptions& options) {
  TextSink sink{{}, max_bytes};
  with_retries([&](bool last) -> std::optional<std::string> {
    sink.text.clear();
    Request request(address, options);
    request.set(CURLOPT_WRITEFUNCTION, on_text);
    request.set(CURLOPT_WRITEDATA, &sink);
    const CURLcode code = request.perform();
    if (code == CURLE_OK && request.headers.status == 200) return std::nullopt;
    if (code == CURLE_WRITE_ERROR) fail_input(address, "answer is too long, expected at most {} bytes", max_bytes);
    if (last || !request.may_pass(code)) request.fail_network(code);
    return fmt::format("{}: {}", address, request.describe(code));
  });
  return sink.text;
}

HttpHeaders http_head(const std::string& address, const HttpOptions& options) {
  HttpHeaders headers;
  with_retries([&](bool last) -> std::optional<std::string> {
    Request request(address, options);
    request.set(CURLOPT_NOBODY, 1L);
    const CURLcode code = request.perform();
    headers = request.headers;
    if (code == CURLE_OK && headers.status >= 200 && headers.status < 300) return std::nullopt;
    if (last || !request.may_pass(code)) request.fail_network(code);
    return fmt::format("{}: {}", address, request.describe(code));
  });
  return headers;
}

void http_download(const std::string& address, const std::filesystem::path& file, const std::string& etag, const std::string& what,
                   const HttpOptions& options) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) fail(ErrorKind::kResource, file.string(), "cannot write: {}", std::strerror(errno));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd, [](const int* open_fd) { ::close(*open_fd); });
  with_retries([&](bool last) -> std::optional<std::string> {
    Request request(address, options);
    Progress progress(what, 0, ProgressUnit::kBytes);
    // Without a strong ETag nothing says that what is there and what would follow belong together.
    if (!is_strong_etag(etag) && ::ftruncate(fd, 0) != 0) fail(ErrorKind::kResource, file.string(), "cannot truncate");
    FileSink sink{&request, fd, file_size(fd), false, 0, &progress};
    ::lseek(fd, static_cast<off_t>(sink.size), SEEK_SET);
    if (sink.size > 0) {
      request.set(CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(sink.size));
      request.add_header("If-Range: " + etag);
      progress.skip(sink.size);
    }
    request.set(CURLOPT_WRITEFUNCTION, on_file);
    request.set(CURLOPT_WRITEDATA, &sink);
    const CURLcode code = request.perform();
    const long status = request.headers.status;
    if (sink.error != 0) fail(ErrorKind::kResource, file.string(), "cannot write: {}", std::strerror(sink.error));
    if (code == CURLE_OK && (status == 200 || status == 206)) {
      if (sink.size == 0 && ::ftruncate(fd, 0) != 0) fail(ErrorKind::kResource, file.string(), "cannot truncate");
      progress.finish();
      return std::nullopt;
    }
    // Nothing is left to send, or the server cannot go on where we stopped: what is there may be wrong, start over.
    if (status == 416 || code == CURLE_RANGE_ERROR) {
      if (::ftruncate(fd, 0) != 0) fail(ErrorKind::kResource, file.string(), "cannot truncate");
      if (!last) return fmt::format("{}: the server cannot resume", address);
    }
    if (last || !request.may_pass(code)) request.fail_network(code);
    return fmt::format("{}: {}", address, request.describe(code));
  });
}

}  // namespace citius
