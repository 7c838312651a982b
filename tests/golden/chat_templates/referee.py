"""The referee: jinja2 exactly as transformers sets it up for chat templates, with a fixed clock."""
import datetime

from transformers.utils import chat_template_utils

NOW = datetime.datetime(2024, 7, 26, 14, 5, 9)
BOS, EOS = "<s>", "</s>"
_compiled = {}


def compile_template(source):
    if source not in _compiled:
        template = chat_template_utils._cached_compile_jinja_template(source)
        template.globals["strftime_now"] = lambda fmt: NOW.strftime(fmt)
        _compiled[source] = template
    return _compiled[source]


def render(source, messages, add_generation_prompt=False, extra=None):
    """The text, or None where the template refuses or fails."""
    try:
        template = compile_template(source)
        chat = chat_template_utils._alias_reasoning_fields(messages)
        variables = {"tools": None, "documents": None, "bos_token": BOS, "eos_token": EOS, **(extra or {})}
        return template.render(messages=chat, add_generation_prompt=add_generation_prompt, **variables)
    except Exception:
        return None
