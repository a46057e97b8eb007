"""What is refused of the file, and what is warned of, a module a subject.

The principle: what LiteLLM passes on, passes; what cannot work is refused, with its cause and what to write instead;
what is doubtful is a warning. All of a file is told in one run. docs/decisions has it with its reasons, and
tests/unit/litellm_config/corpus holds it, each case beside what LiteLLM itself makes of it.
"""
