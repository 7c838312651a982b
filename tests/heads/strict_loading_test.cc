// Loading is strict: for every golden model, each tensor that is missing or has another shape is an error that names it, and
// so is a tensor that nobody asked for.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "heads/head.h"
#include "heads/labels.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

fs::path golden_folder() { return fs::path(CITIUS_TEST_DIR) / "golden/models"; }

/// A container with one tensor hidden, reshaped or added.
class Tampered : public TensorContainer {
 public:
  explicit Tampered(std::shared_ptr<const TensorContainer> base) : base_(std::move(base)), names_(base_->names()) {}

  void hide(const std::string& name) {
    hidden_ = name;
    std::erase(names_, name);
  }
  void reshape(const std::string& name) { reshaped_ = name; }
  void add(const std::string& name) {
    added_ = name;
    names_.push_back(name);
  }

  const std::vector<std::string>& names() const override { return names_; }
  bool has(std::string_view name) const override { return name == added_ || (name != hidden_ && base_->has(name)); }
  Shape shape(std::string_view name) const override {
    const Shape shape = base_->shape(name);
    if (name != reshaped_) return shape;
    return shape.rank() == 1 ? Shape{shape[0] + 1} : Shape{shape[0] + 1, shape[1]};
  }
  OwnedMatrix matrix(std::string_view name) const override { return base_->matrix(name); }
  bool is_float(std::string_view name) const override { return base_->is_float(name); }
  Format format(std::string_view name) const override { return base_->format(name); }
  std::string where() const override { return base_->where(); }
  bool is_gguf() const override { return base_->is_gguf(); }

 private:
  std::shared_ptr<const TensorContainer> base_;
  std::vector<std::string> names_;
  std::string hidden_, reshaped_, added_;
};

int64_t outputs_of(const Checkpoint& checkpoint, const Model& model, HeadKind kind) {
  switch (kind) {
    case HeadKind::kCausalLm:
    case HeadKind::kMaskedLm: return model.config().vocab_size;
    case HeadKind::kMultipleChoice: return 1;
    case HeadKind::kQuestionAnswering: return 2;
    default: return static_cast<int64_t>(read_labels(checkpoint).size());
  }
}

/// Loads body and head; the message of the error, or empty.
std::string load(const Checkpoint& checkpoint, std::optional<HeadKind> kind) {
  const std::unique_ptr<Backend> backend = make_backend("ref", {/*num_threads=*/1, ""});
  try {
    LoadedModel loaded = load_model(checkpoint, *backend);
    if (kind) {
      Head::load(loaded, *kind, outputs_of(checkpoint, *loaded.model, *kind));
    } else {
      finish_loading(loaded);
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "";
}

std::string load_tampered(Checkpoint checkpoint, std::shared_ptr<Tampered> weights, std::optional<HeadKind> kind) {
  checkpoint.weights = std::move(weights);
  return load(checkpoint, kind);
}

TEST(StrictLoading, EveryTensorIsNeededAndChecked) {
  size_t num_tensors = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(golden_folder())) {
    if (!entry.is_directory()) continue;
    const Checkpoint checkpoint = open_checkpoint(entry.path());
    const std::optional<HeadKind> kind = head_of(checkpoint);
    ASSERT_EQ(load(checkpoint, kind), "") << entry.path();
    for (const std::string& name : checkpoint.weights->names()) {
      if (!kind && name.find("pooler.") != std::string::npos) continue;  // left over from pre-training
      SCOPED_TRACE(entry.path().filename().string() + " " + name);
      auto without = std::make_shared<Tampered>(checkpoint.weights);
      without->hide(name);
      // The pattern that tells a task model from a bare body is part of the name; the error then names the bare one.
      const std::string tail = name.substr(name.find('.') + 1);
      EXPECT_NE(load_tampered(checkpoint, without, kind).find(tail), std::string::npos);
      auto reshaped = std::make_shared<Tampered>(checkpoint.weights);
      reshaped->reshape(name);
      const std::string message = load_tampered(checkpoint, reshaped, kind);
      EXPECT_NE(message.find(name), std::string::npos) << message;
      EXPECT_NE(message.find("shape"), std::string::npos) << message;
      ++num_tensors;
    }
    auto more = std::make_shared<Tampered>(checkpoint.weights);
    more->add("surprise.weight");
    EXPECT_NE(load_tampered(checkpoint, more, kind).find("surprise.weight"), std::string::npos);
  }
  EXPECT_GT(num_tensors, 1000u);
}

TEST(StrictLoading, HeadsThatNobodyAskedFor) {
  const auto open = [](const char* name) { return open_checkpoint(golden_folder() / name); };
  // What pre-training left may stay unread, a fine-tuned classifier may not.
  EXPECT_EQ(load(open("bert_mlm"), std::nullopt), "");
  EXPECT_EQ(load(open("roberta_mlm"), std::nullopt), "");
  EXPECT_EQ(load(open("distilbert_mlm"), std::nullopt), "");
  EXPECT_EQ(load(open("modernbert_mlm"), std::nullopt), "");
  EXPECT_EQ(load(open("llama"), std::nullopt), "");
  EXPECT_NE(load(open("bert_sequence"), std::nullopt).find("classifier."), std::string::npos);
  EXPECT_NE(load(open("roberta_qa"), std::nullopt).find("qa_outputs."), std::string::npos);
  EXPECT_NE(load(open("bert_qa"), HeadKind::kTokenClassification).find("classifier.weight"), std::string::npos);
  EXPECT_NE(load(open("bert"), HeadKind::kCausalLm).find("causal language model"), std::string::npos);
  EXPECT_NE(load(open("gpt2"), HeadKind::kMaskedLm).find("masked language model"), std::string::npos);
}

TEST(StrictLoading, UnknownArchitectureIsRefused) {
  Checkpoint checkpoint = open_checkpoint(golden_folder() / "bert");
  checkpoint.config["model_type"] = "perceiver";
  EXPECT_NE(load(checkpoint, std::nullopt).find("perceiver"), std::string::npos);
}

TEST(Heads, AreFoundInTheConfiguration) {
  const auto kind = [](const char* name) { return head_of(open_checkpoint(golden_folder() / name)); };
  EXPECT_EQ(kind("bert"), std::nullopt);
  EXPECT_EQ(kind("bert_sequence"), HeadKind::kSequenceClassification);
  EXPECT_EQ(kind("mpnet_token"), HeadKind::kTokenClassification);
  EXPECT_EQ(kind("distilbert_qa"), HeadKind::kQuestionAnswering);
  EXPECT_EQ(kind("roberta_choice"), HeadKind::kMultipleChoice);
  EXPECT_EQ(kind("modernbert_mlm"), HeadKind::kMaskedLm);
  EXPECT_EQ(kind("gpt2"), HeadKind::kCausalLm);
  EXPECT_EQ(kind("llama"), HeadKind::kCausalLm);
}

TEST(Labels, AreReadStrictly) {
  Checkpoint checkpoint;
  checkpoint.path = "config.json";
  EXPECT_EQ(read_labels(checkpoint), (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
  checkpoint.config["id2label"] = {{"1", "b"}, {"0", "a"}};
  EXPECT_EQ(read_labels(checkpoint), (std::vector<std::string>{"a", "b"}));
  for (const char* key : {"2", "-1", "01x", "x"}) {
    checkpoint.config["id2label"] = {{"0", "a"}, {key, "b"}};
    EXPECT_THROW(read_labels(checkpoint), Error) << key;
  }
}

}  // namespace
}  // namespace citius
