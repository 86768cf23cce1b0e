"""Floor 8, the command ``mentra-trio``: its options, its exit codes, its one-line complaints.

What a command does is in a module of its own, imported when the command runs: asking for help
does not load a server.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ..concurrency.bulkhead import single
from ..config_sources import LIKENESS
from ..domain import ids
from ..domain.apps import AppKind
from ..domain.errors import MentraTrioError
from .app_files import describes_app, registration_of

WRONG_CALL: Final = 2
INTERRUPTED: Final = 130
NAME: Final = "mentra-trio"

TTL_MAX_S: Final = 100 * 365 * 86_400
"""A token that is to be valid longer is meant to be valid for ever."""

C = TypeVar("C", bound=Callable[..., Any])


class _Folder(click.Path):
    """A path that is not empty: an empty one would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


class _Seconds(click.FloatRange):
    """A time to live; ``nan``, which is neither in nor out of any range, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


class _Checked(click.types.StringParamType):
    """A text that ``read`` accepts, and in the form which that gives it."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what is wrong is one line on standard error."""
    try:
        result = commands.main(args=arguments, prog_name=NAME, standalone_mode=False)
    except click.ClickException as error:
        return _complain(_told(error))
    except MentraTrioError as error:
        return _complain(str(error))
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BaseExceptionGroup as group:  # Ctrl-C reached us through nurseries
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _told(error: click.ClickException) -> str:
    """What is wrong with a call; of similar names only those that are very much alike."""
    wrong = getattr(error, "option_name", None) or getattr(error, "command_name", None)
    similar = getattr(error, "possibilities", None)
    if not isinstance(wrong, str) or not similar:
        return error.format_message()
    close = difflib.get_close_matches(wrong, similar, n=1, cutoff=LIKENESS)
    return error.message + (f" Did you mean {close[0]!r}?" if close else "")


def _complain(text: str) -> int:
    click.echo(f"{NAME}: {' '.join(text.split())}", err=True)
    return WRONG_CALL


def _with_data_dir(command: C) -> C:
    return click.option(
        "--data-dir",
        type=_Folder(path_type=Path),
        help="Where data is kept; default: the platform's folder for user data.",
    )(command)


def _help_if_alone(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(NAME), prog_name=NAME)
@click.pass_context
def commands(context: click.Context) -> None:
    """A server for smart-glasses apps."""
    _help_if_alone(context)


@commands.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 picks a free one.  [default: 8002]")
@_with_data_dir
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings in TOML.")
@click.option("--public-url", help="Where apps and phones reach this server.")
@click.option("--tls-cert", help="Certificate chain in PEM.")
@click.option("--tls-key", help="Key of the certificate in PEM.")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
def serve(file: Path | None, sets: tuple[str, ...], **options: object) -> None:
    """Run the server until SIGTERM or SIGINT, then end all sessions in order."""
    from .settings import settings

    config = settings(file=file, options=options, sets=sets)  # before the server is loaded
    from .serve import serve as run

    run(config)


@commands.command()
@_with_data_dir
def demo(data_dir: Path | None) -> None:
    """Show it all in one process: server, simulated glasses, a sample app.

    Nothing is kept: --data-dir is accepted as everywhere, and not used.
    """
    import trio

    from .demo import run_demo

    trio.run(run_demo, click.echo)


@commands.command()
@click.argument("user_id")
@click.option(
    "--ttl",
    type=_Seconds(min=0, min_open=True, max=TTL_MAX_S),
    help="Seconds it is valid; for ever if not given.",
)
@_with_data_dir
def token(user_id: str, ttl: float | None, data_dir: Path | None) -> None:
    """Print a core token with which the glasses of USER_ID may connect."""
    from .manage import make_token
    from .settings import settings

    click.echo(make_token(settings(options={"data_dir": data_dir}), user_id, ttl))


@commands.command("public-key")
@_with_data_dir
def public_key(data_dir: Path | None) -> None:
    """Print the key by which apps know signed user tokens, for their environment."""
    from .manage import show_public_key
    from .settings import settings

    click.echo(show_public_key(settings(options={"data_dir": data_dir})))


def _watches(command: C) -> C:
    """Options of commands that ask a running server."""
    options = (
        click.option("--url", help="The server's address; default: as the settings say."),
        click.option("--cacert", type=click.Path(path_type=Path), help="Whom to trust, in PEM."),
        click.option("--config", "file", type=click.Path(path_type=Path), help="Settings in TOML."),
        _with_data_dir,
    )
    for option in options:
        command = option(command)
    return command


@commands.command()
@click.argument("user_id", type=_Checked(ids.user_id))
@click.argument("package", type=_Checked(ids.package_name))
@_watches
def why(user_id: str, package: str, **where: Any) -> int:
    """Say why the app PACKAGE of USER_ID is as it is, and what comes next."""
    return _ask("why", where, user_id, package)


@commands.command()
@click.argument("user_id", required=False, type=_Checked(ids.user_id))
@click.option("--lines", type=click.IntRange(0, 1_000), default=20, show_default=True)
@click.option("--json", "raw", is_flag=True, help="One JSON object per line.")
@_watches
def tail(user_id: str | None, lines: int, raw: bool, **where: Any) -> int:
    """Show what happens, as it happens: to USER_ID, or to everybody."""
    return _ask("tail", where, user_id, lines, raw=raw)


@commands.command()
@click.option("--once", is_flag=True, help="Print the table once, whole.")
@_watches
def top(once: bool, **where: Any) -> int:
    """Show all users and apps, those that do not run first; anew with every change."""
    return _ask("top", where, once=once)


def _ask(what: str, where: dict[str, Any], /, *arguments: object, **options: object) -> int:
    """Run the function ``what`` of ``watch`` against a server; 1 if that cannot be asked."""
    import trio

    from . import watch
    from .admin_api import ServerTrouble, is_web_address, open_admin_api
    from .settings import settings

    if where["url"] is not None and not is_web_address(where["url"]):
        raise click.BadParameter("an address such as http://127.0.0.1:8002", param_hint="--url")
    config = settings(file=where["file"], options={"data_dir": where["data_dir"]})

    async def ask() -> None:
        async with open_admin_api(config, where["url"], where["cacert"]) as api:
            await getattr(watch, what)(api, click.echo, *arguments, **options)

    code = 0
    try:
        trio.run(ask)
    except* ServerTrouble as troubles:
        click.echo(f"{NAME}: {single(troubles)}", err=True)
        code = 1
    except* BrokenPipeError:
        pass  # whoever read has seen enough
    return code


@commands.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings in TOML.")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@_with_data_dir
def doctor(data_dir: Path | None, file: Path | None, sets: tuple[str, ...]) -> int:
    """Check settings, ports, certificates, and whether every app server can be reached."""
    import trio

    from .doctor import doctor as examine
    from .settings import settings

    config = settings(file=file, options={"data_dir": data_dir}, sets=sets)
    return trio.run(examine, config, click.echo)


@commands.command()
@click.argument("machine")
@click.argument("script")
@click.option("--export", type=click.Path(path_type=Path), help="Write it as a plain test instead.")
@_with_data_dir
def replay(machine: str, script: str, export: Path | None, data_dir: Path | None) -> None:
    """Do again what a state machine did: MACHINE is file.py::Class or module:Class.

    A failing example of a machine prints this command with its SCRIPT. Nothing is kept:
    --data-dir is accepted as everywhere, and not used.
    """
    from .replay import replay as run

    run(machine, script, export, click.echo)


@commands.command()
@click.argument("url", required=False)
@click.option("--only", multiple=True, metavar="NAME", help="Only that lifecycle; repeatable.")
@click.option("--skip", multiple=True, metavar="NAME", help="Not that lifecycle; repeatable.")
@click.option("--list", "listed", is_flag=True, help="Say which lifecycles there are.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--package", default="", help="What the app must call itself.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the app reaches us.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="The same, always; then one lifecycle runs at a time.  [default: any free one]",
)
@click.option("--one-by-one", is_flag=True, help="One lifecycle at a time.")
@click.option("--json", "raw", is_flag=True, help="One JSON object, at the end.")
@_with_data_dir
def certify(
    url: str | None, listed: bool, raw: bool, data_dir: Path | None, **options: Any
) -> int | None:
    """Put the app server at URL through what can happen to it, and say what it survives.

    Nothing is kept: --data-dir is accepted as everywhere, and not used.
    """
    from .certify import Order, list_lifecycles, run_certify

    if listed:
        list_lifecycles(click.echo, raw=raw)
        return None
    if url is None:
        raise click.UsageError("Missing argument 'URL'.")
    return run_certify(Order(url=url, as_json=raw, **options), click.echo)


@commands.group(invoke_without_command=True, short_help="Register app servers.")
@click.pass_context
def apps(context: click.Context) -> None:
    """Register app servers; works while the server runs, and while it does not."""
    _help_if_alone(context)


@apps.command("add")
@click.argument("package")
@click.option("--url", required=True, help="Base URL of the app server.")
@click.option(
    "--api-key",
    help="Key of the app. Not given: a new app's is made and printed once, another's stays.",
)
@click.option("--name", default="", help="Name for people.")
@click.option(
    "--type",
    "kind",
    type=click.Choice([kind.value for kind in AppKind]),
    default=AppKind.STANDARD.value,
    show_default=True,
)
@click.option("--permission", "permissions", multiple=True, metavar="TYPE", help="May be repeated.")
@click.option(
    "--allow-from",
    "allowed_networks",
    multiple=True,
    metavar="CIDR",
    help="Network or address from which the app may connect; may be repeated.  [default: any]",
)
@click.option(
    "--server-url",
    "server_urls",
    multiple=True,
    metavar="URL",
    help="Further base URL of the app's servers, for people; may be repeated.",
)
@describes_app
@_with_data_dir
def apps_add(package: str, data_dir: Path | None, **values: Any) -> None:
    """Register the app PACKAGE, or replace its registration."""
    _manage("add", data_dir, package, **registration_of(values))


@apps.command("list")
@_with_data_dir
def apps_list(data_dir: Path | None) -> None:
    """List the registered apps."""
    _manage("show_all", data_dir)


@apps.command("show")
@click.argument("package")
@_with_data_dir
def apps_show(package: str, data_dir: Path | None) -> None:
    """Show what is registered of the app PACKAGE."""
    _manage("show", data_dir, package)


@apps.command("remove")
@click.argument("package")
@_with_data_dir
def apps_remove(package: str, data_dir: Path | None) -> None:
    """Forget the app PACKAGE and everything users stored for it."""
    _manage("remove", data_dir, package)


@apps.command("rotate-key")
@click.argument("package")
@click.option("--api-key", help="The new key; made and printed once if not given.")
@_with_data_dir
def apps_rotate_key(package: str, data_dir: Path | None, api_key: str | None) -> None:
    """Give the app PACKAGE a new API key."""
    _manage("rotate_key", data_dir, package, api_key=api_key)


def _manage(what: str, data_dir: Path | None, /, *arguments: str, **values: Any) -> None:
    """Run the function ``what`` of ``manage`` on the catalog, and print what it returns."""
    from . import manage
    from .settings import settings

    action = functools.partial(getattr(manage, what), *arguments, **values)
    for line in manage.with_catalog(settings(options={"data_dir": data_dir}), action):
        click.echo(line)
