"""Pages that explain: what a policy gradient differentiates, by hand and in a network that was trained."""

from .page import page as page
