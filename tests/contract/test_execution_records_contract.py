from execution_records_suite import ExecutionRecordsSuite


class TestExecutionRecords(ExecutionRecordsSuite):
    pass
