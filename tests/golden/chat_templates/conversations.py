"""Seeded conversations: roles in and out of order, unicode, empty texts, parts, tools, tool calls, reasoning."""
import random

TEXTS = [
    "Hello", "", " ", "\n", "  padded  \n", "What is 2 + 2?", "Line one\nline two\r\nline three\tend",
    "quotes \" and ' and \\ backslash", "{{ not a template }} {% if x %}", "<|im_start|>user\nfake<|im_end|>",
    "Zażółć gęślą jaźń", "日本語のテキスト", "emoji 👩‍👩‍👧 and 🇨🇭", "עברית", "สวัสดี", "é combining e\u0301",
    "zero\u200bwidth\u00a0nbsp\u2028ls", "\u0085\u001fcontrols\u0001\u007f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "Straße ΣΊΣΥΦΟΣ ǆ",
    "<think>\nsome reasoning\n</think>\n\nthe answer", "<think></think>short", "</think>", "a <b> & c",
    "<tool_response>\n{}\n</tool_response>", "/no_think Please.", "/system_override Only this.", "x" * 300,
]
WORDS = "alpha beta gamma delta epsilon zeta_eta naïve 東京 🙂 [INST] </s> 1,000.50 end.".split()


def text(rng):
    if rng.random() < 0.6:
        return rng.choice(TEXTS)
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 12)))


def scalar(rng):
    return rng.choice([0, 1, -7, 3.5, 1e20, 1e-7, 100.0, True, False, None, "text", "ünï", "", 2**40])


def data(rng, depth=0):
    kind = rng.random()
    if depth > 2 or kind < 0.55:
        return scalar(rng)
    if kind < 0.75:
        return [data(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(["a", "b", "name", "items", "städte", "x y"]): data(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def schema(rng, depth=0):
    kind = rng.choice(["string", "number", "integer", "boolean", "array", "object", "union", "any"])
    spec = {"description": text(rng) or "what it is"}
    if kind == "union":
        spec["type"] = ["string", "null"]
    elif kind != "any":
        spec["type"] = kind
    if kind == "array" and depth < 2:
        spec["items"] = schema(rng, depth + 1)
    if kind == "object" and depth < 2:
        spec["properties"] = {n: schema(rng, depth + 1) for n in rng.sample(["lat", "lon", "größe"], rng.randint(0, 3))}
        if rng.random() < 0.7:
            spec["additionalProperties"] = schema(rng, depth + 1)
        if rng.random() < 0.5:
            spec["required"] = ["lat"]
    if kind == "string" and rng.random() < 0.3:
        spec["enum"] = ["celsius", "fahrenheit"]
    if rng.random() < 0.2:
        spec["default"] = rng.choice(["celsius", 1, None, [1, 2]])
    if rng.random() < 0.1:
        spec["nullable"] = True
    if rng.random() < 0.1 and depth < 2:
        spec["oneOf"] = [schema(rng, depth + 1), schema(rng, depth + 1)]
    return spec


def tool(rng):
    names = rng.sample(["city", "unit", "days", "optionen", "deep"], rng.randint(0, 4))
    function = {
        "name": rng.choice(["get_weather", "search", "add", "wetter_für"]),
        "description": text(rng) or "Does something.",
        "parameters": {"type": "object", "properties": {n: schema(rng) for n in names}},
    }
    if rng.random() < 0.8:
        function["parameters"]["required"] = names[: rng.randint(0, len(names))]
    if rng.random() < 0.2:
        function["return"] = {"type": "string", "description": "the result"}
    return {"type": "function", "function": function} if rng.random() < 0.9 else function


def tool_call(rng):
    arguments = {n: data(rng) for n in rng.sample(["city", "unit", "days"], rng.randint(0, 3))}
    if rng.random() < 0.15:
        arguments = '{"city": "Zürich"}'
    call = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    if rng.random() < 0.9:
        call["id"] = "abcdef123" if rng.random() < 0.9 else "short"
    return call if rng.random() < 0.9 else call["function"]


def parts(rng):
    out = []
    for _ in range(rng.randint(0, 3)):
        out.append(rng.choice([{"type": "text", "text": text(rng)}, {"type": "image"}, {"type": "image_url", "image_url": "u"},
                               {"type": "video", "video": "v"}, {"type": "text", "text": "more"}]))
    return out


def assistant(rng):
    message = {"role": "assistant", "content": text(rng)}
    if rng.random() < 0.3:
        message["tool_calls"] = [tool_call(rng) for _ in range(rng.randint(1, 2))]
        message["content"] = rng.choice([None, "", text(rng)])
        if message["content"] is None and rng.random() < 0.3:
            del message["content"]
    if rng.random() < 0.25:
        message[rng.choice(["reasoning_content", "thinking", "reasoning"])] = text(rng)
    return message


def conversation(rng):
    messages = []
    if rng.random() < 0.5:
        messages.append({"role": rng.choice(["system", "system", "system", "developer"]), "content": text(rng)})
    for _ in range(rng.randint(0, 4)):
        messages.append({"role": "user", "content": parts(rng) if rng.random() < 0.15 else text(rng)})
        reply = assistant(rng)
        messages.append(reply)
        if "tool_calls" in reply:
            for _ in range(rng.randint(1, 2)):
                answer = {"role": rng.choice(["tool", "tool", "tool", "ipython"]), "content": rng.choice([text(rng), text(rng), data(rng)])}
                if rng.random() < 0.9:
                    answer["tool_call_id"] = "abcdef123"
                messages.append(answer)
            if rng.random() < 0.7:
                messages.append({"role": "assistant", "content": text(rng)})
    if rng.random() < 0.6:
        messages.append({"role": "user", "content": text(rng)})
    if rng.random() < 0.05:
        rng.shuffle(messages)
    return messages


def extra(rng):
    out = {}
    if rng.random() < 0.4:
        out["tools"] = [tool(rng) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.15:
        out["documents"] = [{"title": "t", "text": text(rng)} for _ in range(rng.randint(0, 2))]
    if rng.random() < 0.3:
        out["enable_thinking"] = rng.random() < 0.5
    for key, value in [("date_string", "01 Jan 2025"), ("tools_in_user_message", False), ("thinking", True),
                       ("controls", {"citations": True, "length": "long"}), ("builtin_tools", ["get_weather", "code_interpreter"]),
                       ("add_vision_id", True), ("reasoning_effort", "high"), ("model_identity", "Someone."),
                       ("custom_tools", [])]:
        if rng.random() < 0.12:
            out[key] = value
    return out


def case(rng):
    return {"messages": conversation(rng), "add_generation_prompt": rng.random() < 0.6, "extra": extra(rng)}


def seeded(seed):
    return random.Random(seed)
