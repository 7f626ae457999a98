"""How far the rule of ``domain/extent.py`` is from a tokenizer's count. Not a test: needs data.

    python services/classifier/tests/measure_extent.py [--data FOLDER]

The counts in ``replay.jsonl.gz`` are Llama-2's, of question and options.
"""

import gzip
import json
from pathlib import Path

import click
import numpy as np

from pointsman.classifier.domain.extent import text_tokens


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data/routing"))
def main(data: Path) -> None:
    """Print the error of one prompt and of all together, beside a quarter of the characters."""
    path = data / "replay.jsonl.gz"
    if not path.is_file():
        raise click.ClickException(f"no data: {path} is not there (--data FOLDER)")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    counted = np.array([float(row["prompt_tokens"]) for row in rows])
    rule = np.array([text_tokens(str(row["prompt"])) for row in rows])
    quarter = np.array([len(str(row["prompt"])) / 4 for row in rows])
    for name, found in (("the rule", rule), ("characters / 4", quarter)):
        error = np.abs(found - counted) / counted
        click.echo(
            f"{name:15} mean error {error.mean():.3f}, 95 % within {np.percentile(error, 95):.3f}, "
            f"sum {found.sum() / counted.sum():.3f} of the counted, n={len(rows)}"
        )


if __name__ == "__main__":
    main()
