"""Moderation: what may be said here, before it becomes an event. A text goes in, a verdict out.

    moderator = Moderator(Policy((Rule("house", ("darn", "top hats"), "censor"),), ("darning",)))
    moderator.judge("D4rn those t.o.p h.a.t.s!")     Censored("**** those *************!", ...)

Anyone may import it; it imports `domain.verdict` and nothing else of chatlab. A node judges what
its own people say: events of others are facts.

Rejecting rules go first. Words match whole: `ass` says nothing of `class`. A masked word (`d*rn`)
is no match: it is censored already. An entry with digits or signs is looked for as it is written.

    normalization   what people read in a text, sign by sign    `lookalikes` is its table
    readings        that in several ways, with something undone
    matcher         all words at once, in one pass over each view
    validation      whether a word that was found is meant there   `language` has a say
    search          all of this, within a budget
    moderator       rules, allowed words, and what censoring leaves

All of it is linear in the text, and what there is to look at is bounded: a text that is crowded
with words and near-words goes as a whole.
"""

from domain.moderation.moderator import Moderator, Policy, Rule
from domain.verdict import Censored, Clean, Rejected, Verdict

__all__ = ["Censored", "Clean", "Moderator", "Policy", "Rejected", "Rule", "Verdict"]
