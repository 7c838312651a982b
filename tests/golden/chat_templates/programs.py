"""A seeded generator of whole templates: nested statements with every mark of white-space control, scopes, macros, loops."""
import expressions

TEXTS = ["", "", " ", "\n", "\n\n", "  \n  ", "a", " b ", "\n  c\n", "d\n", "\t", "\r\n", "x y", "<|im_start|>", "\n    ", "{ } ", "é🙂\n"]
NAMES = ["p", "q", "r", "i", "s"]
ITERABLES = ["l", "ls", "le", "ms", "range(3)", "d", "d.items()", "d | dictsort", "s", "mix", "l | sort", "ms | map(attribute='role')",
             "l | select('odd')", "ls[1:]", "ms[::-1]", "[[1, 2], [3, 4]]", "nope", "ls | unique", "[p, q]", "l | batch(2)"]
PAIRS = ["d.items()", "d | items", "[[1, 2], [3, 4]]", "ls | batch(2)", "{'a': p}.items()"]
LOOP = ["loop.index", "loop.index0", "loop.revindex", "loop.revindex0", "loop.first", "loop.last", "loop.length", "loop.depth",
        "loop.previtem", "loop.nextitem", "loop.cycle('a', 'b')", "loop.changed(i)", "loop.depth0", "loop.nextitem is defined"]
# Expressions that no value makes fail, so that most templates render to their end.
SAFE = ["@ | string | upper", "@ | default('none')", "@ ~ '-' ~ i", "(@ ~ '') | length", "@ is defined", "@ is string", "@ == p", "[@, 1] | last",
        "{'k': @}['k']", "(@ | string)[1:3]", "(@ | string).split('l') | join('+')", "@ if @ else 'no'", "@ or 'empty'", "not @", "(@,) | first",
        "@ in [1, 'a', 'b']", "(@ | string | trim).title()", "'%s|%s' | format(@, i)", "@ is none", "ms[0].content ~ @"]
CONDITIONS = ["t", "b", "p", "q is defined", "r is none", "loop is defined and loop.first", "loop is undefined or not loop.last", "i is number and i > 3", "s in 'Hello, World!'",
              "loop is defined and loop.index0 % 2 == 0", "ns.n is defined", "ms[0]['role'] == 'user'", "p is string", "q is mapping", "ns.t"]
# Jinja finds the scope of a name when it compiles: one that is set somewhere in a block, and read before only in a block
# inside, is undefined there although a variable has that name (docs/chat-templates.md). Reading it first avoids that.
READ = "{% if " + " or ".join(f"{name} is undefined" for name in NAMES) + " %}{% endif %}"


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.macros = []
        self.loops = 0

    def tag(self, inside):
        left = self.rng.choice(["", "", "", "-", "-", "+"])
        right = self.rng.choice(["", "", "", "-", "-", "+"])
        return "{%" + left + " " + inside + " " + right + "%}"

    def output(self, inside):
        left, right = (self.rng.choice(["", "", "-"]) for _ in range(2))
        return "{{" + left + " " + inside + " " + right + "}}"

    def value(self):
        kind = self.rng.random()
        if kind < 0.3:
            return self.rng.choice(NAMES)
        if kind < 0.45 and self.loops:
            return self.rng.choice(LOOP)
        if kind < 0.55:
            return self.rng.choice(["ns.n", "ns.t", "varargs", "kwargs", "caller is defined", "p | default('none')", "ms | tojson"])
        if kind < 0.65 and self.macros:
            return self.call()
        if kind < 0.95:
            return self.rng.choice(SAFE).replace("@", self.rng.choice(NAMES))
        return expressions.expression(self.rng, 2)

    def call(self):
        arguments = self.rng.sample(["1", "p", "'two'", "b=q", "a=3", "*l", "**{'b': 4}"], self.rng.randint(0, 2))
        arguments.sort(key=lambda a: ("=" in a or "**" in a) + 2 * ("**" in a))
        return f"{self.rng.choice(self.macros)}({', '.join(arguments)})"

    def condition(self):
        return self.rng.choice(CONDITIONS) if self.rng.random() < 0.8 else self.value()

    def block(self, depth):
        return READ * (depth > 0) + "".join(self.rng.choice(TEXTS) + self.statement(depth) for _ in range(self.rng.randint(0, 3))) + self.rng.choice(TEXTS)

    def loop(self, depth):
        if self.rng.random() < 0.2:
            head = f"for {self.rng.choice(['k, p', 'p, q', '(q, r)'])} in {self.rng.choice(PAIRS)}"
        else:
            head = f"for {self.rng.choice(NAMES)} in {self.rng.choice(ITERABLES)}"
        if self.rng.random() < 0.25:
            head += " if " + self.rng.choice(["p", "p is defined", "i", "p != 1", "s is string"])
        self.loops += 1
        body = self.block(depth + 1)
        self.loops -= 1
        tail = self.tag("else") + self.block(depth + 1) if self.rng.random() < 0.2 else ""
        return self.tag(head) + body + tail + self.tag("endfor")

    def branches(self, depth):
        out = self.tag("if " + self.condition()) + self.block(depth + 1)
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            out += self.tag("elif " + self.condition()) + self.block(depth + 1)
        if self.rng.random() < 0.5:
            out += self.tag("else") + self.block(depth + 1)
        return out + self.tag("endif")

    def macro(self, depth):
        name = f"m{len(self.macros)}"
        parameters = self.rng.choice(["", "a", "a, b=2", "a='x', b=a", "p", "p=i, q=none"])
        loops, self.loops = self.loops, 0
        body = self.block(depth + 1)
        self.loops = loops
        self.macros.append(name)
        return self.tag(f"macro {name}({parameters})") + self.output(self.rng.choice(["a", "b", "p", "q"])) + body + self.tag("endmacro")

    def statement(self, depth):
        kind = self.rng.random()
        if depth > 3 or kind < 0.3:
            return self.output(self.value())
        if kind < 0.45:
            return self.loop(depth)
        if kind < 0.6:
            return self.branches(depth)
        if kind < 0.7:
            return self.tag(f"set {self.rng.choice(NAMES)} = {self.value()}")
        if kind < 0.76:
            return self.tag(f"set ns.{self.rng.choice('nt')} = {self.rng.choice(['ns.n ~ 1', 'ns.t ~ p', 'i', self.value()])}")
        if kind < 0.8:
            return self.tag(f"set {self.rng.choice(NAMES)}") + self.block(depth + 1) + self.tag("endset")
        if kind < 0.86 and len(self.macros) < 4:
            return self.macro(depth)
        if kind < 0.89:
            return self.tag(f"with {self.rng.choice(NAMES)} = {self.value()}") + self.block(depth + 1) + self.tag("endwith")
        if kind < 0.92:
            return self.tag("filter " + self.rng.choice(["upper", "trim", "indent(2)", "replace('a', 'b') | title"])) + self.block(depth + 1) + self.tag("endfilter")
        if kind < 0.94 and self.macros:
            return self.tag("call " + self.call()) + self.block(depth + 1) + self.tag("endcall")
        if kind < 0.97 and self.loops:
            return self.tag("if " + self.condition()) + self.tag(self.rng.choice(["break", "continue"])) + self.tag("endif")
        left, right = (self.rng.choice(["", "-", "+"]) for _ in range(2))
        return self.rng.choice(["{#" + left + " comment " + right.replace("+", "") + "#}", "{%" + left + " raw %}{{ p }}\n {%- endraw " + right + "%}"])


def program(rng):
    """A template over the variables of expressions.py."""
    generator = Generator(rng)
    start = "{% set ns = namespace(n=0, t='') %}" + "{% set p = 'p' %}" * rng.randint(0, 1)
    return start + READ + "".join(generator.block(0) for _ in range(rng.randint(1, 3)))
