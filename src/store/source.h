// Where a model comes from, as `citius pull` is told: a hub repository, a Python package, an address or a path.
#pragma once

#include <string>
#include <string_view>

namespace citius {

enum class SourceKind { kHub, kPypi, kHttps, kPath };

struct Source {
  SourceKind kind = SourceKind::kPath;
  std::string text;      // as given, normalised: what the store records
  std::string location;  // ORG/NAME, package, address, or absolute path
  std::string version;   // revision of a hub repository ("main"), version of a package; empty elsewhere
  std::string name;      // the name it gets in the store unless told otherwise
};

/// hf:ORG/NAME[@REVISION], pypi:PACKAGE==VERSION, https://..., file:PATH, or a path. Throws Error{kUsage}.
Source parse_source(std::string_view text);

/// Throws Error{kUsage} unless `name` can be a folder of the store: letters, digits, '.', '_', '-', not first a '.'.
void check_store_name(std::string_view name);

}  // namespace citius
