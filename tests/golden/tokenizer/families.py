"""Small tokenizers of every family, trained with the `tokenizers` package, and strings to try them on.

Each function returns a tokenizer with exactly the normalizer, pre-tokenizer, post-processor and decoder of the family's
real files, over a small vocabulary. Everything is seeded. make.py writes goldens from them; scripts/referees/
tokenizers_compare.py runs them at length.
"""
import base64
import io
import json
import random
import struct
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# ---- strings: code points assigned in the Unicode version of this Python (14 for Python 3.11) ----
ASSIGNED = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
WORDS = (
    "the of and a in to is was for on that with as by at from it an were are which this also be had first has its city "
    "new after who not their but two she her they people one can't don't I'm we've you're it's he'd they'll naïve café "
    "façade über straße Москва привет 東京 你好 世界 안녕하세요 สวัสดี नमस्ते مرحبا שלום ΟΔΥΣΣΕΥΣ İstanbul ﬁnance ½ ①②③ 1234567 "
    "3.14159 2024-01-01 http://a.b/c?d=e def main(): return ``quoted'' antidisestablishmentarianism unbelievable running "
    "tokenization e\u0301 \u1100\u1161\u11a8 👩\u200d👩\u200d👧 🇫🇷 ❤\ufe0f"
).split(" ")


def _pools():
    by_category = {}
    for c in ASSIGNED:
        by_category.setdefault(unicodedata.category(chr(c)), []).append(c)

    def block(a, b):
        return [c for c in range(a, b) if unicodedata.category(chr(c)) != "Cn"]

    def group(letter):
        return [c for name, members in by_category.items() if name.startswith(letter) for c in members]

    return [
        (list(range(32, 127)), 10), (list(range(97, 123)), 10), (block(0xA0, 0x250), 4), (group("M"), 3),
        (block(0x300, 0x370), 3), (block(0x4E00, 0x9FFF), 3), (block(0x3040, 0x3100), 2), (block(0xAC00, 0xD7A4), 2),
        (block(0x1100, 0x1200), 1), (block(0xE00, 0xE80), 2), (block(0x600, 0x700), 2), (block(0x590, 0x600), 1),
        (block(0x900, 0x980), 2), (block(0x980, 0xE00), 2), (block(0x400, 0x530), 2),
        (block(0x370, 0x400) + block(0x1F00, 0x2000), 2), (block(0x1F300, 0x1FB00), 3),
        ([0x200D, 0xFE0F, 0x1F3FB, 0x1F3FF, 0x2764, 0x1F468, 0x1F469, 0x1F1E6, 0x1F1FA], 2),
        (by_category["Cc"] + by_category["Cf"], 2), (group("Z") + [9, 10, 13, 32, 32, 32, 10], 4), (group("P"), 3),
        (group("S"), 2), (group("N"), 2), (list(range(48, 58)), 3), (block(0xFF00, 0xFFF0), 1),
        (block(0xF900, 0xFB50) + block(0x2100, 0x2200) + block(0x3300, 0x3400) + block(0x2F800, 0x2FA20), 2),
        (ASSIGNED, 3), ([c for c in ASSIGNED if 0x10000 <= c < 0xF0000], 2), (by_category["Co"], 1),
        (by_category["Lu"] + by_category["Lt"], 2),
    ]


POOLS = _pools()
POOL_WEIGHTS = [weight for _, weight in POOLS]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\t", " \n ", "\r\n", "\u00a0", "\u3000"]


def make_text(rng, specials, lengths=(1, 2, 3, 5, 8, 13, 21)):
    out = []
    for _ in range(rng.choice(lengths)):
        kind = rng.random()
        if kind < 0.3:
            out.append(rng.choice(WORDS))
        elif kind < 0.38 and specials:
            out.append(rng.choice(specials))
        elif kind < 0.5:
            out.append(rng.choice(SPACES))
        else:
            pool = rng.choices(POOLS, POOL_WEIGHTS)[0][0]
            out.append("".join(chr(rng.choice(pool)) for _ in range(rng.randint(1, 6))))
        if rng.random() < 0.5:
            out.append(" ")
    return "".join(out)


def make_texts(seed, count, specials, lengths=(1, 2, 3, 5, 8, 13, 21)):
    rng = random.Random(seed)
    fixed = ["", " ", "  ", "\n", "a", "Hello, world!", "  leading", "trailing  ", "\u0301", "\ufffd", "\x00"]
    return (fixed + [make_text(rng, specials, lengths) for _ in range(count)])[:count]


# ---- training ----
def corpus(seed=7, lines=1500):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 12))) for _ in range(lines)]


def train_bpe(size, specials, byte_level, pre_tokenizer=None, normalizer=None, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer or pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) if byte_level else []
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False,
                                  limit_alphabet=len(alphabet) or 120)
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def special(content, **options):
    return AddedToken(content, special=True, **({"normalized": False} | options))


def pieces_of(text):
    return ["▁" + word for word in text.split(" ")]


def unigram_vocab(size, specials, byte_fallback=False, lower=False):
    """A Unigram vocabulary with scores of word pieces by frequency; the trainer's threads make its own not repeatable."""
    counts = {}
    for line in corpus():
        for word in pieces_of(unicodedata.normalize("NFKC", line.lower() if lower else line)):
            for begin in range(len(word)):
                for end in range(begin + 1, min(begin + 7, len(word)) + 1):
                    counts[word[begin:end]] = counts.get(word[begin:end], 0) + (end - begin) ** 2
    ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
    letters = [piece for piece in ranked if len(piece) == 1][:90]
    others = [piece for piece in ranked if len(piece) > 1]
    total = float(sum(counts.values()))
    vocab = [(token, 0.0) for token in specials]
    if byte_fallback:
        vocab += [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]
    for piece in letters + others[: max(0, size - len(letters))]:
        score = struct.unpack("f", struct.pack("f", -2.0 - 8.0 * (1.0 - counts[piece] / total)))[0]
        vocab.append((piece, round(score - 0.37 * (len(piece) == 1), 4)))
    return vocab


def charsmap(full):
    """SentencePiece's compiled character map: nmt_nfkc as T5 has it, or a small one for files that stay small."""
    import sentencepiece

    out = io.BytesIO()
    options = {"normalization_rule_name": "nmt_nfkc"}
    if not full:
        import tempfile

        rules = tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False)
        table = {c: unicodedata.normalize("NFKC", chr(c)) for c in [*range(0xA0, 0x180), *range(0xFB00, 0xFB07),
                 *range(0xFF01, 0xFF5F), *range(0x2460, 0x2474), 0x3000, 0x2002, 0x2122]}
        for c, text in table.items():
            if text != chr(c):
                rules.write(f"{c:X}\t{' '.join(f'{ord(x):X}' for x in text)}\n")
        for c in [1, 2, 8, 0x1B, 0x7F, 0xAD]:
            rules.write(f"{c:X}\t\n")
        for c in [9, 10, 13]:
            rules.write(f"{c:X}\t20\n")
        rules.write("65 301\tE9\n61 300\tE0\n1100 1161\tAC00\n")
        rules.close()
        options = {"normalization_rule_tsv": rules.name}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus()), model_writer=out, vocab_size=200,
                                             hard_vocab_limit=False, minloglevel=2, character_coverage=0.98, **options)
    return field(field(out.getvalue(), 3), 2)  # ModelProto.normalizer_spec.precompiled_charsmap


def field(message, number):
    """The first length-delimited field `number` of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 2:
            size = varint()
            if key >> 3 == number:
                return message[at : at + size]
            at += size
        elif key & 7 == 0:
            varint()
        else:
            at += 4 if key & 7 == 5 else 8
    raise ValueError(f"no field {number}")


# ---- families ----
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}"
          r"\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def bert_style(tokenizer, cls, sep):
    ids = [(cls, tokenizer.token_to_id(cls)), (sep, tokenizer.token_to_id(sep))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0", pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1", special_tokens=ids)


def wordpiece(lowercase, specials):
    tokenizer = Tokenizer(models.WordPiece(unk_token=specials[1], max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=specials, show_progress=False, limit_alphabet=90)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return tokenizer


def bert(full=False):
    tokenizer = wordpiece(True, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    bert_style(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def bert_cased(full=False):
    tokenizer = wordpiece(False, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def mpnet(full=False):
    tokenizer = wordpiece(True, ["<s>", "[UNK]", "<pad>", "</s>", "<mask>"])
    tokenizer.add_special_tokens([special("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 3), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def gpt2(full=False):
    tokenizer = train_bpe(420, ["<|endoftext|>"], byte_level=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def roberta(full=False):
    tokenizer = train_bpe(420, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], byte_level=True)
    tokenizer.add_special_tokens([special("<mask>", lstrip=True, normalized=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    return tokenizer


def split_byte_level(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def qwen2(full=False):
    tokenizer = train_bpe(420, [], byte_level=True, pre_tokenizer=split_byte_level(QWEN), normalizer=normalizers.NFC())
    tokenizer.add_special_tokens([special(s) for s in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def llama3(full=False):
    tokenizer = train_bpe(420, [], byte_level=True, pre_tokenizer=split_byte_level(LLAMA3), ignore_merges=True)
    tokenizer.add_special_tokens([special(s) for s in ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]])
    tokenizer.decoder = decoders.ByteLevel()
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    return tokenizer


def tekken(full=False):
    tokenizer = train_bpe(420, ["<s>", "</s>"], byte_level=True, pre_tokenizer=split_byte_level(TEKKEN), ignore_merges=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def smollm2(full=False):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = train_bpe(420, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], byte_level=True, pre_tokenizer=pre)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def modernbert(full=False):
    specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer = train_bpe(420, [], byte_level=True, normalizer=normalizers.NFC())
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in (8, 4, 3, 2)])
    tokenizer.add_tokens([AddedToken("|||IP_ADDRESS|||", normalized=True)])
    tokenizer.add_special_tokens([special(s) for s in specials] + [special("[MASK]", lstrip=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    bert_style(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def byte_fallback_bpe():
    """Llama's model: merges learned on words with ▁, bytes for the rest."""
    trained = train_bpe(330, [], byte_level=False, pre_tokenizer=pre_tokenizers.Metaspace())
    data = json.loads(trained.to_str())["model"]
    order = sorted(data["vocab"], key=data["vocab"].get)
    vocab = {}
    for token in ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], *order]:
        vocab.setdefault(token, len(vocab))
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in data["merges"]]
    return models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def llama_parts(tokenizer):
    tokenizer.add_special_tokens([special(s) for s in ["<unk>", "<s>", "</s>"]])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])


def llama(full=False):
    tokenizer = Tokenizer(byte_fallback_bpe())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    llama_parts(tokenizer)
    return tokenizer


def mistral(full=False):
    tokenizer = Tokenizer(byte_fallback_bpe())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    llama_parts(tokenizer)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(replacement="▁", prepend_scheme="first", split=False)])
    return tokenizer


def precompiled(full):
    state = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(full)).decode()}
    holder = Tokenizer(models.Unigram([("a", 0.0)], 0))
    data = json.loads(holder.to_str())
    data["normalizer"] = state
    return Tokenizer.from_str(json.dumps(data)).normalizer


def metaspace(scheme="always"):
    return pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)


def t5(full=False):
    tokenizer = Tokenizer(models.Unigram(unigram_vocab(330, ["<pad>", "</s>", "<unk>"]), unk_id=2))
    tokenizer.normalizer = precompiled(full)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([special(s) for s in ["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"]])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def xlmr(full=False):
    tokenizer = Tokenizer(models.Unigram(unigram_vocab(330, ["<s>", "<pad>", "</s>", "<unk>"]), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([precompiled(full), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([special(s) for s in ["<s>", "<pad>", "</s>", "<unk>"]] + [special("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
                                                             special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def albert(full=False):
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.Unigram(unigram_vocab(330, specials, lower=True), unk_id=1))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(),
        normalizers.Lowercase(), precompiled(full), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([special(s) for s in specials[:4]] + [special("[MASK]", lstrip=True)])
    bert_style(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def deberta(full=False):
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    tokenizer = Tokenizer(models.Unigram(unigram_vocab(330, specials), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), precompiled(full), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation("isolated"), metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([special(s) for s in [*specials, "[MASK]"]])
    bert_style(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def unigram_bytes(full=False):
    tokenizer = Tokenizer(models.Unigram(unigram_vocab(200, ["<unk>", "<s>", "</s>"], byte_fallback=True), unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = metaspace("first")
    llama_parts(tokenizer)
    return tokenizer


def mixed(full=False):
    """Parts that no family above has: single words, stripping, word suffixes, other split behaviours."""
    tokenizer = train_bpe(330, ["<unk>"], byte_level=False, pre_tokenizer=pre_tokenizers.Whitespace(), unk_token="<unk>",
                          end_of_word_suffix="</w>")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[\p{P}\p{S}]+"), behavior="merged_with_next"),
        pre_tokenizers.Split("a", behavior="merged_with_previous"), pre_tokenizers.Digits(False),
        pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("contiguous")])
    tokenizer.add_tokens([AddedToken("the", single_word=True), AddedToken("City", lstrip=True, rstrip=True, normalized=True),
                          AddedToken("éa", normalized=True)])
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return tokenizer


FAMILIES = {f.__name__: f for f in [bert, bert_cased, mpnet, gpt2, roberta, qwen2, llama3, tekken, smollm2, modernbert, llama,
                                    mistral, t5, xlmr, albert, deberta, unigram_bytes, mixed]}
