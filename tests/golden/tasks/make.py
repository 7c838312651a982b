#!/usr/bin/env python3
"""Writes tiny random task models with their tokenizers, and what transformers' pipelines and sentence-transformers'
CrossEncoder answer with them (expected.json, expected_qa.json).

Run `python3 make.py` with transformers 5 and sentence-transformers, then `python3 make.py qa` with transformers 4.57, the
last that has the question answering pipeline; `python3 make.py windows` adds expected_windows.json.
"""
import json
import math
import shutil
import sys
import zlib
from pathlib import Path

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
CORPUS = ["anna lives in paris and works for acme.", "the river runs through london in spring",
          "where does anna live? who works for acme?", "paris is the capital of france, bob said it was great"]
TEXTS = ["anna lives in paris", "", "Bob said: the river runs through LONDON.", "unknown \u00e9tranger in france \U0001f600 !",
         "acme works for acme", "   spaces   in   text ", " ".join(["anna lives in paris and works"] * 4)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
MAX_LENGTH = 40


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")])
    tokenizer.decoder = decoders.WordPiece()
    return fast(tf, tokenizer)


def fast(module, tokenizer):
    names = dict(unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]")
    return module.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_LENGTH,
                                          model_input_names=["input_ids", "token_type_ids", "attention_mask"], **names)


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.decoder = decoders.ByteLevel()
    return tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_LENGTH, unk_token="<unk>", cls_token="<s>",
                                      sep_token="</s>", pad_token="<pad>", mask_token="<mask>", bos_token="<s>", eos_token="</s>",
                                      model_input_names=["input_ids", "attention_mask"])


def build(name, model_class, config, tokenizer):
    torch.manual_seed(zlib.crc32(name.encode()))
    model = model_class(config).float().eval()
    for key, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape)
        if key.endswith("bias"):
            p.data = 0.3 * noise
        elif p.dim() == 1:
            p.data = 1 + 0.3 * noise
        else:
            p.data = noise * (0.8 if "embeddings" in key else 1.5 / math.sqrt(p.shape[1]))
    model.tie_weights()
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def bert(tokenizer, labels=None, **over):
    if labels:
        over.update(id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)})
    return tf.BertConfig(vocab_size=len(tokenizer), hidden_size=12, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20,
                         max_position_embeddings=MAX_LENGTH, **over)


def entities(found, text):
    return [{"label": e.get("entity_group", e.get("entity")), "score": float(e["score"]), "start": int(e["start"]), "end": int(e["end"]),
             "text": text[e["start"]:e["end"]]} for e in found]


def main():
    words, pieces = wordpiece(), byte_level()
    expected = {"texts": TEXTS}

    for name, labels, over in (("classify_single", ["bad", "fair", "good"], {}),
                               ("classify_multi", ["a", "b", "c", "d"], {"problem_type": "multi_label_classification"}),
                               ("classify_regression", ["value"], {"problem_type": "regression"})):
        model = build(name, tf.BertForSequenceClassification, bert(words, labels, **over), words)
        pipe = tf.pipeline("text-classification", model=model, tokenizer=words)
        expected[name] = [{o["label"]: o["score"] for o in pipe(t, top_k=None, truncation=True)} for t in TEXTS]

    model = build("nli", tf.BertForSequenceClassification, bert(words, ["contradiction", "neutral", "entailment"]), words)
    pipe = tf.pipeline("zero-shot-classification", model=model, tokenizer=words)
    expected["zero_shot_labels"] = ["paris", "works", "great spring"]
    for multi in (False, True):
        found = [pipe(t, expected["zero_shot_labels"], multi_label=multi) for t in TEXTS if t]
        expected["zero_shot_multi" if multi else "zero_shot"] = [dict(zip(f["labels"], f["scores"])) for f in found]

    model = build("rerank", tf.BertForSequenceClassification, bert(words, ["LABEL_0"]), words)
    from sentence_transformers import CrossEncoder
    scores = CrossEncoder(str(HERE / "rerank")).predict([("where does anna live?", t) for t in TEXTS], batch_size=1)
    expected["rerank"] = {"query": "where does anna live?", "scores": [float(s) for s in scores]}

    for name, tokenizer, model_class, config in (
            ("ner_wordpiece", words, tf.BertForTokenClassification, bert(words, NER)),
            ("ner_bytes", pieces, tf.RobertaForTokenClassification, tf.RobertaConfig(
                vocab_size=len(pieces), hidden_size=12, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20,
                max_position_embeddings=MAX_LENGTH + 2, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                id2label=dict(enumerate(NER)), label2id={label: i for i, label in enumerate(NER)}))):
        model = build(name, model_class, config, tokenizer)
        expected[name] = {}
        for strategy in ("none", "simple", "first", "average", "max"):
            pipe = tf.pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy)
            expected[name][strategy] = [entities(pipe(t), t) for t in TEXTS]

    model = build("fill_mask", tf.BertForMaskedLM, bert(words), words)
    pipe = tf.pipeline("fill-mask", model=model, tokenizer=words, top_k=4)
    masked = ["anna lives in [MASK].", "[MASK] works for [MASK]", "the [MASK]"]
    expected["fill_mask"] = []
    for text in masked:
        found = pipe(text)
        found = found if isinstance(found[0], list) else [found]
        expected["fill_mask"].append({"text": text, "masks": found})

    build("qa", tf.BertForQuestionAnswering, bert(words), words)
    for file in HERE.glob("*/generation_config.json"):
        file.unlink()
    (HERE / "expected.json").write_text(json.dumps(expected, indent=None) + "\n")


def question_answering():
    tokenizer = fast(tf, Tokenizer.from_file(str(HERE / "qa/tokenizer.json")))
    model = tf.BertForQuestionAnswering.from_pretrained(HERE / "qa").eval()
    pipe = tf.pipeline("question-answering", model=model, tokenizer=tokenizer)
    cases = []
    long_context = " ".join(CORPUS)
    for question, context in (("where does anna live?", "Anna lives in Paris and works for ACME."), ("who?", "bob"),
                              ("who works for acme?", long_context), ("where?", "\u00c9t\u00e9 \U0001f600 in London, in london.")):
        for options in ({}, {"top_k": 3}, {"top_k": 3, "handle_impossible_answer": True}, {"max_answer_len": 2, "top_k": 2}):
            found = pipe(question=question, context=context, **options)
            found = found if isinstance(found, list) else [found]
            cases.append({"question": question, "context": context, "options": options, "answers": [
                {"score": float(a["score"]), "start": int(a["start"]), "end": int(a["end"]), "text": a["answer"]} for a in found]})
    (HERE / "expected_qa.json").write_text(json.dumps(cases, indent=None) + "\n")


def windows():
    """Entities of texts that are longer than the model, read in overlapping windows."""
    tokenizer = fast(tf, Tokenizer.from_file(str(HERE / "ner_wordpiece/tokenizer.json")))
    tokenizer.model_max_length = 16
    model = tf.BertForTokenClassification.from_pretrained(HERE / "ner_wordpiece").eval()
    texts = [TEXTS[-1], " ".join(CORPUS), "anna"]
    cases = []
    for strategy in ("simple", "first", "average", "max"):
        pipe = tf.pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy, stride=5)
        cases.append({"aggregation": strategy, "entities": [entities(pipe(t), t) for t in texts]})
    (HERE / "expected_windows.json").write_text(json.dumps({"texts": texts, "length": 16, "overlap": 5, "cases": cases}) + "\n")


def choice():
    """Multiple choice: each text with each of three others."""
    words = fast(tf, Tokenizer.from_file(str(HERE / "ner_wordpiece/tokenizer.json")))
    model = build("choice", tf.BertForMultipleChoice, bert(words), words)
    choices = [TEXTS[0], TEXTS[2], TEXTS[5]]
    scores = []
    for text in TEXTS:
        pairs = words([text] * 3, choices, truncation=True, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**{key: value[None] for key, value in pairs.items()}).logits[0]
        scores.append(logits.softmax(-1).tolist())
    (HERE / "expected_choice.json").write_text(json.dumps({"texts": TEXTS, "choices": choices, "scores": scores}) + "\n")


if __name__ == "__main__":
    {"qa": question_answering, "windows": windows, "choice": choice}.get(" ".join(sys.argv[1:]), main)()
