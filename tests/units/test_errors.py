"""What an exception says within a sentence."""

from logpi.errors import InputError, missing, said


def test_what_an_exception_says_is_one_line_of_a_sentence() -> None:
    assert said(ValueError("The spring\n  is broken.")) == "The spring is broken"
    assert said(KeyError()) == "KeyError"
    assert said(ValueError("x" * 200), 120) == "x" * 116 + " ..."


def test_what_cannot_be_printed_is_written_out() -> None:
    """A run folder may come from anybody, and a terminal does what escape sequences say."""
    assert said(ValueError("a\x1b[31m\x00b")) == r"a\x1b[31m\x00b"


def test_a_missing_package_is_named_with_its_extra() -> None:
    error = missing("The plot", "matplotlib", "plot")
    assert isinstance(error, InputError)
    assert str(error) == 'The plot needs matplotlib, which is not installed: pip install "logpi[plot]".'
