"""What a request is about, read from its words and its vector; pure.

``ports`` what is needed from outside · ``wording`` which words count · ``features`` what the words
alone say · ``prototypes`` sentences to compare with · ``gain`` what a stronger model would add ·
``reading`` all of these of one request · ``signals`` a row for each signal, whose functions are in
``complexity``, ``subjects``, ``novelty``, ``languages``, ``extent`` and ``waiting``.
"""
