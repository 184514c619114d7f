"""One explanation for each checker: why its promise matters, for readers who are new to the field.
`lab.explain.story` puts it at the end of a story.
"""

LESSONS = {
    "C1": "An acknowledgement is a promise about the future: whoever was told `durable` may "
    "forget the message, for no loss of power can take it back. So nothing may be "
    "acknowledged before the sync that makes it true has returned.",
    "C2": "`Unknown` is an honest answer, but the outcome must still be one of two: the message "
    "is everywhere, or it never was. And `refused` is a promise that it never will be.",
    "C3": "An event's id is used once. If a node forgets what it has said and goes on counting "
    "from there, two different messages carry one name, and copies can never agree again.",
    "C4": "Packets are repeated and several peers send the same. A copy is recognised by its "
    "id, at every door.",
    "C5": "A log is the memory on which all else rests. It may only grow, and what was synced "
    "must be found again; a hole that nobody mentions is worse than a loss.",
    "C6": "Eventual consistency promises one thing: once nothing new is said and packets get "
    "through, all copies become equal. Whatever stops one piece from being asked for "
    "again breaks it.",
    "C7": "An answer must not be shown before what it answers. Whoever claims causal delivery "
    "holds an event back until its parents have come.",
    "C8": "A person's own view may lag behind, but it may not go back: what I wrote I see, and "
    "what I have seen stays.",
    "C9": "Moderation decides once, at the origin, before an event exists. After that the bytes "
    "are a fact, and other rules elsewhere change nothing about it.",
    "C10": "What is shown is a fold of the log. Fold it anew, or take steps back and forth "
    "again, and it must come out the same; else it holds something that the log does not.",
    "C12": "A node that knows what it lacks must be doing something about it, and copies that "
    "agree must be nearly silent.",
    "C14": "What crashes must come back alone and say so. An exception out of the core is a bug "
    "even where a restart hides it.",
    "C15": "Looking on must change nothing, or what is seen is not what happens without a witness.",
    "C16": "Clocks differ and jump. They may put events in a pleasant order, but nothing may "
    "depend on them, and a stamp must follow the stamps that its author had seen.",
    "C18": "What was sent was delivered, dropped for a reason, or is on its way. If the sum is "
    "wrong, no figure made from it is worth anything.",
    "C19": "A failure that cannot be replayed cannot be explained.",
    "C20": "Repair that works, but slowly, hides from every look at a final state.",
    "C21": "A cluster hides much of what its parts do wrong: somebody else repairs it, or nobody "
    "looks. A part that is watched alone has nobody to hide behind.",
    "LAB": "This is a bug of the laboratory, or of the journal that it drives, not of the "
    "protocol.",
}
