"""docs/reference.md says what the docstrings say."""

import inspect

import make_reference

import ddcodec


def test_the_page_is_that_of_the_docstrings():
    assert make_reference.PAGE.read_text("utf-8") == make_reference.page(), "Run: python docs/make_reference.py"


def test_every_function_and_parameter_is_explained():
    text = make_reference.page()
    for name in ddcodec.__all__:
        if not name.startswith("_"):
            section = text.partition(f"## ddcodec.{name}\n")[2].partition("\n## ")[0]
            prose = section.split("```")[2]
            for parameter in inspect.signature(getattr(ddcodec, name)).parameters:
                assert parameter in prose, (name, parameter)


def test_sections_are_lists():
    docstring = """Do a thing.

    Args:
        first: One thing,
            in two lines.
        **rest: Others.

    Returns:
        A number.

    The end.
    """
    assert list(make_reference.paragraphs(docstring)) == [
        "Do a thing.",
        "**Parameters**",
        "- `first`: One thing, in two lines.\n- `**rest`: Others.",
        "**Returns**",
        "- A number.",
        "The end.",
    ]
