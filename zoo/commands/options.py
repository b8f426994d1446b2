"""Options that several commands have."""

from __future__ import annotations

import click

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change an option of the spec."
)
set_data_option = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change an option below data, such as data.root."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the record for machines.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
