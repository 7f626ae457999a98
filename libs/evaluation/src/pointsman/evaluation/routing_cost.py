"""What the heads cost a request, measured on the machine that runs this."""

import time
from collections.abc import Callable, Sequence

from pointsman.evaluation.figures import Row
from pointsman.evaluation.recordings import Table
from pointsman.evaluation.routing_folds import Split, fitted_acceptance
from pointsman.evaluation.routing_gain import Requests, fitted_gain
from pointsman.judge.domain.acceptance import Sibling, inputs_of
from pointsman.judge.domain.agreement import agreement_of
from pointsman.judge.domain.answer_signs import answer_signs
from pointsman.loadgen.recordings import Recording

_REQUESTS = 400


def cost_rows(
    table: Table, split: Split, rows: Sequence[Recording], requests: Requests
) -> list[Row]:
    """Return the CPU of the gain head, and of acceptance with and without a sibling."""
    at = split.test[:_REQUESTS]
    by_id = {row.id: row for row in rows}
    tested = [by_id[table.ids[int(row)]] for row in at]
    gain = fitted_gain(requests, table.weak, table.strong, split.train)
    acceptance = fitted_acceptance(table, split.train)
    weak, sibling = table.cascade.weak, table.cascade.siblings[0]

    def expect() -> None:
        for row in at:
            gain.predict(requests.vectors[row], requests.texts[int(row)])

    def accept() -> None:
        for row in tested:
            signs = answer_signs(row.prompt, row.answers[weak].text)
            acceptance.estimate(inputs_of(signs))

    def accept_with_sibling() -> None:
        for row in tested:
            text, other = row.answers[weak].text, row.answers[sibling].text
            asked = Sibling(
                signs=answer_signs(row.prompt, other), agreement=agreement_of(text, other)
            )
            acceptance.estimate(inputs_of(answer_signs(row.prompt, text), asked))

    return [
        _row("gain head, words and weights", expect, len(at)),
        _row("acceptance, signs read", accept, len(at)),
        _row("acceptance with a sibling, both answers read", accept_with_sibling, len(at)),
    ]


def _row(name: str, run: Callable[[], None], count: int) -> Row:
    run()
    begun = time.process_time()
    run()
    value = 1_000 * (time.process_time() - begun) / max(1, count)
    return Row(name=name, value=value, goal=1.0, moonshot=0.3, unit="ms", better="lower",
               note=f"mean of {count} requests")  # fmt: skip
