"""What a request is about, read from its words and its vector; pure.

``ports`` what is needed from outside · ``wording`` which words count · ``features`` what the words
alone say · ``prototypes`` sentences to compare with · ``signals`` the verdict.
"""
