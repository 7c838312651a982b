"""Expressions: a hand-written list of what templates use and of Python's corners, and a seeded generator of more."""
import random

VARIABLES = {
    "s": "Hello, World", "u": "Grüße aus Zürich 🙂 ΣΊΣΥΦΟΣ", "e": "", "w": "  pad\n", "h": "<b> & 'q' \"d\"",
    "i": 7, "n": -3, "z": 0, "f": 2.5, "g": -0.125, "big": 2**53, "t": True, "b": False, "x": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "le": [], "mix": [1, "a", None, True, 2.0, [1], {"k": 1}],
    "d": {"b": 2, "A": 1, "c": {"deep": [1, 2]}, "items": "shadow"}, "de": {},
    "ms": [{"role": "user", "content": "hi", "n": 1}, {"role": "assistant", "content": None, "n": 3},
           {"role": "user", "content": "Again", "n": 2}],
    "lines": "one\n\ntwo\r\n  three\n",
}

HAND = r"""
1 + 2 * 3 ** 2 // 4 % 5 - -1
2 ** -1
7 // -2
-7 % 3
7.5 // 2
-7.5 % 2
1 / 3
10 / 5
1e16
1e15
1e-5
0.0001
123456789.123
1.0
100.0 * 3
5e-324
1.7976931348623157e308
1_000_000
0x1F + 0b11 + 0o17
1e3
not 0
not []
'a' and 'b'
'' or 'x'
none or 0
1 < 2 < 3
1 < 3 < 2
1 == 1.0 == true
'a' < 'b'
[1, 2] < [1, 3]
(1, 2) == [1, 2]
1 in [1, 2]
'a' not in 'abc'
'ell' in s
2 not in l
'b' in d
s ~ 1 ~ none ~ true ~ 2.0
s + '!'
'ab' * 3
3 * [1]
[1] + [2, 3]
(1,) + (2,)
l[0] ~ l[-1]
l[5]
l[1:]
l[:-1]
l[::-1]
l[::2]
s[0]
s[-3:]
s[::-1]
u[5:8]
u[::-1]
u[16]
u[-1]
s[100:]
l[-100:100:1]
l[2:0:-1]
range(5)[1:4]
range(10)[::3] | list
range(3)
range(3, 0, -1) | list
range(2, 10, 3) | list
d.b
d['b']
d['items']
d.c.deep[1]
d.nope
d['nope']
d.nope is defined
x.foo
nope
nope.foo
nope['a']
nope | default('fallback')
nope | d('q')
x | default('fallback')
x | default('fallback', true)
'' | default('e', boolean=true)
d.get('b')
d.get('q', 5)
d.get('q')
d.keys() | list
d.values() | list
d.items() | list
d.keys()
d.items()
d.values()
d | items | list
de | items | list
nope | items | list
d | dictsort
d | dictsort(true)
d | dictsort(false, 'value')
{'a': 1, 'b': 2} | dictsort(reverse=true)
{'a': 3, 'b': 2} | dictsort(by='value')
d | length
s | length
u | length
l | count
d | list
s | list
l | first
l | last
le | first
le | last
s | first
s | last
u | last
l | sort
ls | sort
ls | sort(reverse=true)
ls | sort(case_sensitive=true)
ms | sort(attribute='n') | map(attribute='n') | list
ms | sort(attribute='role,n') | map(attribute='n') | join(',')
mix | sort
ls | unique | list
['a', 'A', 'b'] | unique | list
['a', 'A', 'b'] | unique(true) | list
l | min
l | max
ls | min
ms | max(attribute='n')
le | max
l | sum
ms | sum(attribute='n')
l | sum(start=10)
[[1], [2]] | sum(start=[])
['a'] | sum
l | join(', ')
ls | join
ms | join('-', attribute='role')
mix | join('|')
l | map('string') | list
ls | map('upper') | join
ms | map(attribute='content') | list
ms | map(attribute='zz') | list
ms | map(attribute='zz', default='?') | list
l | map('nosuch') | list
l | select | list
l | select('odd') | list
l | reject('odd') | list
l | select('gt', 1) | list
l | select('divisibleby', 2) | list
mix | select('string') | list
mix | reject('none') | list
ms | selectattr('content') | list | length
ms | selectattr('role', 'equalto', 'user') | list
ms | rejectattr('role', 'eq', 'user') | map(attribute='n') | list
ms | selectattr('content', 'none') | list | length
ms | selectattr('role', 'in', ['user']) | list | length
ms | selectattr('zz', 'defined') | list
(ms | selectattr('role', 'equalto', 'user')) | length
l | batch(2) | list
l | batch(2, 'x') | list
range(7) | batch(3) | map('list') | list
range(7) | slice(3) | list
range(7) | slice(3, 'x') | list
l | reverse | list
s | reverse
u | reverse
l | reverse | first
ms | groupby('role')
ms | groupby('role') | map(attribute='grouper') | list
(ms | groupby('role'))[0].list | length
s | upper
u | upper
u | lower
u | title
u | capitalize
s | lower
'hello wORLD-foo (bar)' | title
'hello wORLD' | capitalize
w | trim
'xxaxx' | trim('x')
x | trim
7 | upper
s | replace('l', 'L')
s | replace('l', 'L', 1)
s | replace('', '-')
7 | replace(7, 8)
s | center(20)
s | center(21) | length
'a' | center
lines | indent
lines | indent(2, true)
lines | indent(2, blank=true)
lines | indent('> ')
lines | indent(first=true)
'' | indent(4)
'' | indent(4, true)
h | escape
h | e
h | forceescape
h | safe
(h | safe) + h
h + (h | safe)
(h | e) ~ h
(h | e) | e
[h | safe]
h | safe | upper
h | safe | tojson
(h|e)[2:5]
'%s' % (h | safe)
('<%s>' | safe) % h
(h | safe).replace('q', '<')
(',' | safe).join(['<', '>'])
h | e | length
s | string
7 | string
f | string
x | string
mix | string
d | string
'42' | int
'42.7' | int
'abc' | int
'abc' | int(5)
'0x1f' | int(0, 16)
'0b11' | int(base=0)
' 12 ' | int
'1_000' | int
f | int
-2.7 | int
(-2.7) | int
true | int
x | int
l | int
'inf' | float | int
'1.5' | float
'1e5' | float
'x' | float
'x' | float(2)
7 | float
'nan' | float
'-inf' | float
2.5 | round
3.5 | round
2.567 | round(2)
2.5 | round(method='ceil')
2.5 | round(method='floor')
-2.5 | round
7 | round
7 | round(2)
1234 | round(-2)
1250 | round(-2)
1.005 | round(2)
2.675 | round(2)
0.1 + 0.2
7 | round(1, 'floor')
-7 | abs
g | abs
(1, 2)
(1,)
()
[]
{}
{'a': 1, 'b': [1, 2], 3: none}
{1: 'a', 1.0: 'b', true: 'c'}
[true, false, none, 1.5, 'q\'uote', "d\"q", 'both\'"']
'a\nb\t\x41\u00e9\\'
['a\nb\t\x00\x7f\u00a0\u200b\U0001F642\ue000']
mix | tojson
d | tojson
u | tojson
u | tojson(ensure_ascii=true)
[h, w, lines] | tojson
d | tojson(indent=2)
mix | tojson(indent=4)
de | tojson(indent=2)
[[], {}, [[]]] | tojson(indent=1)
d | tojson(indent='--')
d | tojson(separators=(',', ':'))
d | tojson(sort_keys=true)
{'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true, indent=0)
{1: 2, none: 3, true: 4, 1.5: 5} | tojson
nope | tojson
(1, 2) | tojson
range(3) | tojson
[1.0, 1e20, 1e-7, 0.1] | tojson
s | tojson | safe
s.upper() ~ s.lower() ~ s.title() ~ s.swapcase() ~ s.capitalize()
u.title()
u.swapcase()
u.casefold()
'ΑΣ'.lower() ~ 'ΑΣΑ'.lower() ~ 'ß'.upper() ~ 'ﬁ'.title() ~ 'ǆ'.capitalize()
s.split()
s.split(', ')
s.split('l', 1)
s.split('l', maxsplit=1)
s.split(sep='l')
s.rsplit('l', 1)
w.split()
lines.split('\n')
' a  b c '.split(none, 1)
' a  b c '.rsplit(none, 1)
lines.splitlines()
lines.splitlines(true)
s.partition(', ')
s.rpartition('l')
s.partition('zz')
s.rpartition('zz')
w.strip() ~ '|' ~ w.lstrip() ~ '|' ~ w.rstrip()
'xyxhixyx'.strip('xy')
'xyxhixyx'.lstrip('xy')
s.startswith('Hell')
s.startswith(('x', 'H'))
s.endswith('d')
s.startswith('e', 1)
s.startswith('', 100)
s.find('o')
s.find('o', 5)
s.rfind('o')
s.find('zz')
s.index('o')
s.index('zz')
s.count('l')
s.count('')
u.find('Z')
u.index('🙂')
s.replace('l', '')
'ab'.replace('', '-')
'ab'.replace('', '-', 2)
''.replace('', 'x')
s.removeprefix('Hello').removesuffix('d')
', '.join(ls)
', '.join(l)
'-'.join('abc')
'-'.join(d)
'7'.zfill(3) ~ '-7'.zfill(4) ~ 'ab'.ljust(4, '.') ~ 'ab'.rjust(4) ~ 'ab'.center(5, '*') ~ 'abc'.center(6, '*')
'a\tb'.expandtabs(4)
'abc'.isalpha() ~ '12'.isdigit() ~ 'a1'.isalnum() ~ ' '.isspace() ~ 'a'.islower() ~ 'A'.isupper() ~ 'Ab'.istitle()
''.isalpha() ~ '²'.isdigit() ~ '½'.isnumeric() ~ '١'.isdecimal() ~ 'a b'.isidentifier() ~ '\n'.isprintable() ~ 'é'.isascii()
'{} and {}'.format(1, 'b')
'{1} {0}'.format(1, 2)
'{a} {b[0]} {c.deep}'.format(a=1, b=[2], c=d.c)
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:+d} {:x} {:#b} {:,}'.format(42, 5, 255, 5, 1234567)
'{:.2f} {:e} {:g} {:%} {:10.3f}|'.format(3.14159, 12345.678, 0.0001, 0.25, 2.5)
'{!r} {!s}'.format('a', 'b')
'{{}} {}'.format(1)
'{:{}}|'.format('a', 5)
'{'.format(1)
'%s and %d and %.2f' % ('a', 7, 3.14159)
'%5s|%-5s|%05d|%+d|%x|%o|%c|%%' % ('a', 'b', 42, 5, 255, 8, 'z')
'%(a)s %(b)d' % {'a': 'x', 'b': 3}
'%s' % 5
'%s' % l
'%r' % s
'%d' % 3.7
'%s %s' % ('a',)
'%s' % ('a', 'b')
'%i' % true
'%e' % 12345.678
'%g' % 1e10
'%10.3f|' % 3.14159
'%s %s' | format('a', 'b')
'%(n)s' | format(n=5)
l.index(2)
l.index(9)
l.count(1)
(1, 2, 1).count(1)
l.append(4)
l.append
l.pop
d.update({'a': 1})
d.copy()
s.nosuch
s.nosuch()
s.__class__
d.__class__.__mro__
l.__len__
1 is odd
2 is even
l is sequence
s is sequence
d is sequence
5 is sequence
nope is sequence
l is iterable
s is iterable
d is iterable
5 is iterable
x is iterable
nope is iterable
d is mapping
l is mapping
s is string
5 is string
5 is number
true is number
5.0 is float
5 is integer
true is integer
true is boolean
x is none
nope is none
nope is defined
x is defined
s is defined
true is true
1 is true
false is false
s is lower
'abc' is lower
'ABC' is upper
5 is divisibleby 5
5 is divisibleby(2)
3 is in [1, 2, 3]
3 is in(l)
3 is not in [1, 2]
5 is eq 5
5 is equalto(5)
5 is == 5
5 is ne 4
5 is gt 4
5 is lessthan 4
5 is sameas 5
x is sameas none
range is callable
s is callable
'upper' is filter
'nosuch' is filter
'odd' is test
h is escaped
(h|e) is escaped
not x is none
x is not none
5 is not string and s is string
5 if true
5 if false
5 if false else 6
(5 if false) is defined
'a' if b else 'c' if t else 'd'
1 if t else nope.x
-i | abs
-(i) ** 2
2 ** 3 ** 2
i * -1
+i
- -i
'a' 'b'
"it's" ~ 'say "hi"'
s.upper().lower().split(',')[0].strip()
(s | upper).lower()
s[i - 2]
l[i % 3]
ms[-1].role
ms[0]['content']
ms[-1]['role'] == 'user'
ms | map(attribute='role') | unique | join(',')
dict(a=1, b=2)
dict([('a', 1)], b=2)
dict(d, z=1)
dict.fromkeys(['a', 'b'], 0)
namespace(a=1).a
namespace(a=1).b
namespace(a=1)
namespace({'a': 1}, b=2).b
namespace(_a=1)
cycler('a', 'b').next()
joiner('|')()
loop
loop is defined
raise_exception('no')
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('%d %b %Y | %A %B %j %p %I %-d')
strftime_now('%f%z%Z%%')
strftime_now('')
l is sequence and l is not mapping and l is not string
true + true
true * 5
5 + 'a'
'a' + 5
none + 1
nope + 1
nope ~ 1
nope == nope2
nope == none
nope != 1
nope < 1
nope in [1]
'a' in nope
'a' in none
1 in 'abc'
[1] in [[1]]
[1] in d
nope | length
none | length
5 | length
nope | upper
nope | trim
nope | join
nope | list
none | list
nope | first
nope | last
nope | int
nope | string
nope | sort
nope | reverse | list
nope | replace('a', 'b')
nope[1:]
x[1:]
d[1:]
5[0]
s['upper']()
d['keys']() | list
l['append']
d[[1]]
l['0']
l.0
ms.0.role
l[true]
l[1.0]
l[none]
range(100001)
range(0)
range(1, 2, 0)
10 ** 3
10 ** 18
10 ** -2
0 ** 0
0 ** -1
1 // 0
1 % 0
1.0 / 0
2 ** 0.5
5 // 2.0
-5 // 2
-5 % -3
5.5 % -2
true // 1
1 == true
'1' == 1
1 != 1.0
[1, 2.0] == [1.0, 2]
{'a': 1} == {'a': 1.0}
(1, 2) < (1, 2, 3)
[1] < 'a'
'a' < 1
1 < none
{'a': 1} < {'b': 1}
2 > 1 > 0 >= 0 == 0
not 1 == 2
not 'a' in s
1 if 2 in l and 'b' in d or false else 0
s | truncate(5)
s | truncate(5, true)
s | truncate(5, true, '…')
s | truncate(5, false, '...', 0)
'foo bar baz qux' | truncate(9)
'foo bar baz qux' | truncate(9, leeway=0)
'foo bar' | wordcount
u | wordcount
1000 | filesizeformat
1 | filesizeformat
123456789 | filesizeformat
123456789 | filesizeformat(true)
'a b/c?d=é' | urlencode
{'a b': 'c d', 'e': 'é'} | urlencode
d | attr('b')
ns | attr('a')
s|nosuch
s is nosuch
(1).real
f.is_integer()
l | map('int') | sum
ls | map('replace', 'a', 'z') | list
ms | map(attribute='role') | map('upper') | list
l | map('default', 5) | list
[none, nope] | map('default', 5) | list
ms | selectattr('n', 'gt', 1) | map(attribute='n') | list
ms | selectattr('n', 'odd') | list | count
l | select('in', [1, 2]) | list
range(3) | map('string') | join
'abc' | map('upper') | join
d | map('upper') | join
5 | map('upper') | list
nope | map('upper') | list
le | map('nosuch') | list
[1, [2, [3]]] | string
(l | list) == l
(l | first) + (l | last)
l | list | tojson
ls | sort | first | upper
'%s' | format(nope)
'' ~ nope ~ none
"\u00e9\x41\101\N{BULLET}\q"
'a\
b'
'☃ \☃'
""".strip("\n").split("\n")

UNARY = ["upper", "lower", "title", "capitalize", "trim", "length", "list", "first", "last", "sort", "unique|list", "string", "int",
         "float", "tojson", "reverse|list", "join", "sum", "min", "max", "abs", "round", "items|list", "dictsort", "escape", "safe",
         "default('q')", "default('q', true)", "join('-')", "replace('a', 'b')", "indent(2)", "map('string')|list",
         "select|list", "batch(2)|list", "slice(2)|list", "tojson(indent=2)", "wordcount", "center(9)", "truncate(4)", "urlencode",
         "map('length')|list", "select('string')|list", "reject('none')|list", "string|length", "sort(reverse=true)", "d('z')|upper"]
POSTFIX = [".upper()", ".strip()", ".split()", "[0]", "[-1]", "[1:]", "[:2]", "[::-1]", "[::2]", "['b']", ".b", ".items()", ".keys()",
           ".get('b')", ".split('l')", ".startswith('H')", ".title()", ".lower()", ".count('l')", ".index(1)", ".splitlines()", ".role",
           ".c.deep", ".rstrip('d')", ".format(1)", ".join(ls)", ".values()|list", ".swapcase()", ".isalpha()", ".zfill(8)", ".find('o')"]
TESTS = ["defined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "boolean", "odd", "even", "true", "false",
         "in l", "in s", "eq 7", "gt 1", "lower", "upper", "float", "callable", "divisibleby 2", "undefined", "sameas x", "escaped"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
# Literals are given as variables: Jinja folds constants when it compiles, with a laxer meaning of some errors.
VARIABLES.update({"c0": 0, "c1": 1, "c2": 2, "c10": 10, "c01": 0.1, "abc": "abc", "ps": "%s", "pd": "%d|%s", "ab": "a b", "br": "{}",
                  "nest": [[1, 2], [0]]})
ATOMS = list(VARIABLES) + ["nope", "[c1, ab]", "{'b': i}", "(c1, c2)", "range(c10)", "(h | safe)"]


def expression(rng, depth=0):
    kind = rng.random()
    if depth > 3 or kind < 0.25:
        return rng.choice(ATOMS)
    if kind < 0.45:
        return f"({expression(rng, depth + 1)}) | {rng.choice(UNARY)}"
    if kind < 0.62:
        return f"({expression(rng, depth + 1)}){rng.choice(POSTFIX)}"
    if kind < 0.70:
        negation = "not " if rng.random() < 0.3 else ""
        return f"({expression(rng, depth + 1)}) is {negation}{rng.choice(TESTS)}"
    if kind < 0.90:
        op = rng.choice(BINARY)
        right = "c2" if op == "**" else expression(rng, depth + 1)
        return f"({expression(rng, depth + 1)}) {op} ({right})"
    if kind < 0.94:
        return f"[{expression(rng, depth + 1)}, {expression(rng, depth + 1)}]"
    if kind < 0.96:
        return "{'k': " + expression(rng, depth + 1) + "}"
    return f"({expression(rng, depth + 1)}) if ({expression(rng, depth + 1)}) else ({expression(rng, depth + 1)})"
