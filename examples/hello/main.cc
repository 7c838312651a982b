// hello ENCODER DECODER: embeds a sentence with one model and lets another go on with it. Models are paths, or names that
// `citius pull` put in the store.
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "runtime/embedder.h"
#include "runtime/generator.h"
#include "store/store.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: hello ENCODER DECODER\n");
    return 2;
  }
  try {
    const std::string sentence = "The capital of France is";

    citius::Engine encoder = citius::open_engine(citius::resolve_model(argv[1]));
    citius::Embedder embedder(encoder);
    const std::vector<std::vector<float>> vectors = embedder.embed(std::span(&sentence, 1));
    std::printf("%zu dimensions, the first is %.4f\n", vectors[0].size(), vectors[0][0]);

    citius::Engine decoder = citius::open_engine(citius::resolve_model(argv[2]));
    citius::GenerationRequest request;
    request.prompt = decoder.tokenizer->encode_ids(sentence);
    request.max_tokens = 8;
    request.sampling.temperature = 0;
    citius::Generator generator(decoder);
    std::printf("%s%s\n", sentence.c_str(), generator.generate(std::span(&request, 1))[0].text.c_str());
    return 0;
  } catch (const citius::Error& error) {
    std::fprintf(stderr, "hello: %s\n", error.what());
    return citius::exit_code(error.kind());
  }
}
