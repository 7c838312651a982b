from engines import ik_llama


class Engine(ik_llama.Engine):
    """Weights repacked while loading."""

    OPTIONS = ["-rtr"]
