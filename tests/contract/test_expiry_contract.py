from expiry_suite import ExpirySuite


class TestExpiry(ExpirySuite):
    pass
