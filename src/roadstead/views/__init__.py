"""Read models: what people ask about the queue, as values. Shared by the command line, the API server's answers and
later pages.

`workload.line_of` is one line about one workload, `queue.queue_page` the page of a queue, `why.why_answer` the answer
to `why`; `answers.Answers` serves them by path. Pure functions over objects and the core's verdicts.
"""
