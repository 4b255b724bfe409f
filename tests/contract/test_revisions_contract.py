from revisions_suite import RevisionsSuite


class TestRevisions(RevisionsSuite):
    pass
