"""Compiles checked settings into the frozen snapshot of the request path."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from smart_llmrouter.config import schema
from smart_llmrouter.config.compile_allowances import allowances
from smart_llmrouter.config.compile_policies import (
    affinity,
    backoffs,
    cache,
    contract,
    diagnostics,
    dynamic,
    external,
    fetch_images,
    flow,
    retention,
    rules,
    script,
    thresholds,
)
from smart_llmrouter.config.compile_prices import compile_price
from smart_llmrouter.config.fingerprint import settings_fingerprint
from smart_llmrouter.config.policies import Policy
from smart_llmrouter.config.proxies import proxy_for
from smart_llmrouter.config.references import holds_reference, resolve
from smart_llmrouter.config.schema import connections, identities, providers
from smart_llmrouter.config.schema import groups as group_settings
from smart_llmrouter.config.schema import server as server_settings
from smart_llmrouter.config.schema.server import parse_listen
from smart_llmrouter.config.snapshot import (
    Group,
    Provider,
    Reports,
    Server,
    ServerTls,
    Snapshot,
    State,
    Target,
    Tls,
    Upstream,
)
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.money import Price
from smart_llmrouter.core.secrets import Secret

_UNKNOWN_TO_ALL: Final = frozenset({"removed", "archived"})
"""Callers of these statuses are answered as if their token had never been."""


def compile_snapshot(
    settings: schema.Settings, *, environment: Mapping[str, str], beside: Path
) -> Snapshot:
    """Compile settings that have been checked.

    `beside` is the directory of the configuration file: relative paths start there.
    Raises `references.Unresolved` when a secret has gone since the check.
    """
    compiler = _Compiler(settings, environment, beside)
    groups = {
        name: compiler.group(name, group) for name, group in settings.groups.items()
    }
    by_name = groups | {
        alias: group for group in groups.values() for alias in group.aliases
    }
    return Snapshot(
        fingerprint=settings_fingerprint(settings),
        server=_server(settings, beside),
        state=compiler.state(),
        upstream=compiler.upstream(),
        groups=MappingProxyType(groups),
        groups_by_name=MappingProxyType(by_name),
        callers_by_digest=MappingProxyType(
            {
                bytes.fromhex(caller.token_sha256): _caller(caller)
                for caller in settings.callers
                if caller.status not in _UNKNOWN_TO_ALL
            }
        ),
        diagnostics=diagnostics(settings.diagnostics),
        allowances=allowances(settings),
        cache=cache(settings.cache),
        reports=_reports(settings),
    )


def compile_target(
    settings: schema.Settings, use: str, *, environment: Mapping[str, str], beside: Path
) -> Target:
    """Compile one `provider/model` as a group would use it that says nothing of it.

    Raises `KeyError` where there is none, and what `compile_snapshot` does.
    """
    compiler = _Compiler(settings, environment, beside)
    return compiler.target(group_settings.Target(use=use))


class _Compiler:
    """Holds what the parts of one compilation share."""

    def __init__(
        self, settings: schema.Settings, environment: Mapping[str, str], beside: Path
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._beside = beside
        self._providers = {
            name: self._provider(name, provider)
            for name, provider in settings.providers.items()
        }

    def state(self) -> State:
        state = self._settings.state
        directory = (self._beside / state.directory).resolve()
        url = (
            _sqlite_url(directory)
            if state.database == "sqlite"
            else self._secret(state.database)
        )
        return State(
            directory=directory,
            database_url=url,
            journal_sync=state.journal_sync,
            journal_max_bytes=state.journal_max_bytes,
            min_free_bytes=state.min_free_bytes,
            counters=self._secret(state.counters),
            counters_namespace=state.counters_namespace,
            counters_lease_s=float(state.counters_lease_s),
            counters_away=state.counters_away,
            retention=retention(self._settings.retention),
        )

    def upstream(self) -> Upstream:
        upstream = self._settings.upstream
        providers = self._providers.values()
        return Upstream(
            transport=upstream.transport,
            proxied=any(each.proxy is not None for each in providers),
            max_connections=upstream.max_connections,
            idle_connection_s=upstream.idle_connection_s,
            dns_ttl_s=upstream.dns_ttl_s,
            connect_timeout_s=upstream.connect_timeout_s,
            first_event_timeout_s=upstream.first_event_timeout_s,
            idle_timeout_s=upstream.idle_timeout_s,
            total_timeout_s=upstream.total_timeout_s,
            max_response_bytes=upstream.max_response_bytes,
            drain_s=upstream.drain_s,
            allow_private_image_urls=upstream.allow_private_image_urls,
            fetch_images=fetch_images(upstream.fetch_images),
        )

    def group(self, name: str, group: group_settings.Group) -> Group:
        first_event_s = self._settings.upstream.first_event_timeout_s
        return Group(
            name=name,
            aliases=group.aliases,
            strategy=group.strategy,
            targets=tuple(self.target(target) for target in group.targets),
            max_attempts=group.max_attempts,
            first_event_timeout_s=group.attempt_timeout_s or first_event_s,
            bridges=group.bridges,
            hosted_tools=group.hosted_tools,
            prefer_native=group.prefer_native,
            same_target_retries=group.same_target_retries,
            affinity=affinity(group.affinity),
            dynamic=dynamic(group.dynamic),
            policy=self._policy(group),
            thresholds=thresholds(group.thresholds),
            contract=contract(group.contract),
        )

    def _policy(self, group: group_settings.Group) -> Policy | None:
        if group.strategy == "rules":
            return rules(group.rules)
        if group.strategy == "script":
            return script(group.script, beside=self._beside)
        if group.strategy == "external" and group.external is not None:
            return external(
                group.external, headers=self._headers(group.external.headers)
            )
        return None

    def _headers(
        self, headers: Mapping[str, str]
    ) -> tuple[tuple[str, Secret | str], ...]:
        return tuple(
            (header, self._secret(value) if holds_reference(value) else value)
            for header, value in headers.items()
        )

    def target(self, target: group_settings.Target) -> Target:
        use = target.use
        provider, key = use.split("/", 1)
        model = self._settings.providers[provider].models[key]
        reasoning = model.reasoning
        return Target(
            label=use,
            provider=self._providers[provider],
            key=key,
            model=model.model or key,
            price=compile_price(model.prices),
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            input=model.input,
            tools=model.tools,
            structured_outputs=model.structured_outputs,
            reasons=reasoning is not None,
            reasoning_control=None if reasoning is None else reasoning.control,
            reasoning_levels=() if reasoning is None else reasoning.levels,
            image_sources=model.image_sources,
            max_images=model.max_images,
            max_request_bytes=model.max_request_bytes,
            honors_output_cap=model.honors_output_cap,
            quality=model.quality,
            model_shaping=flow(model.shaping),
            weight=target.weight,
            only_with_tools=target.only_with_tools,
            on_disconnect=target.on_disconnect,
            shaping=flow(target.shaping),
        )

    def _provider(self, name: str, provider: providers.Provider) -> Provider:
        return Provider(
            name=name,
            dialect=provider.dialect,
            base_url=provider.base_url,
            api_key=(
                None if provider.api_key is None else self._secret(provider.api_key)
            ),
            headers=self._headers(provider.headers),
            tls=self._tls(provider.tls),
            unix_socket=self._path(provider.unix_socket),
            proxy=(
                proxy_for(provider.base_url, self._environment)
                if provider.unix_socket is None
                else None
            ),
            shaping=flow(provider.shaping),
            backoff=backoffs(provider.backoff),
        )

    def _tls(self, tls: connections.Tls | None) -> Tls:
        if tls is None:
            return Tls()
        return Tls(
            ca_file=self._path(tls.ca_file),
            client_cert_file=self._path(tls.client_cert_file),
            client_key_file=self._path(tls.client_key_file),
            server_name=tls.server_name,
        )

    def _path(self, path: str | None) -> str | None:
        return _path_of(path, self._beside)

    def _secret(self, reference: str) -> Secret:
        return resolve(reference, environment=self._environment, beside=self._beside)


def _server(settings: schema.Settings, beside: Path) -> Server:
    server = settings.server
    host, port = parse_listen(server.listen)
    return Server(
        host=host,
        port=port,
        workers=server.workers,
        default_group=server.default_group,
        max_request_bytes=server.max_request_bytes,
        keepalive_after_s=server.keepalive_after_s,
        client_timeout_s=server.client_timeout_s,
        shutdown_grace_s=server.shutdown_grace_s,
        tls=None if server.tls is None else _server_tls(server.tls, beside),
        trusted_proxies=server.trusted_proxies,
        max_connections=server.max_connections,
        max_connections_per_address=server.max_connections_per_address,
        auth_failures_per_minute=server.auth_failures_per_minute,
    )


def _server_tls(tls: server_settings.ServerTls, beside: Path) -> ServerTls:
    return ServerTls(
        cert_file=str(_path_of(tls.cert_file, beside)),
        key_file=_path_of(tls.key_file, beside),
    )


def price_of(settings: schema.Settings, use: str) -> Price | None:
    """Return what a `provider/model` costs; `KeyError` where there is none."""
    provider, _, key = use.partition("/")
    return compile_price(settings.providers[provider].models[key].prices)


def _reports(settings: schema.Settings) -> Reports:
    baselines = {name: price_of(settings, name) for name in settings.reports.baselines}
    return Reports(
        timezone=settings.reports.timezone,
        baselines={name: price for name, price in baselines.items() if price},
    )


def _path_of(path: str | None, beside: Path) -> str | None:
    return None if path is None else str((beside / path).absolute())


def _caller(caller: identities.Caller) -> Caller:
    return Caller(
        id=caller.id,
        owner_user=caller.owner_user,
        project=caller.project,
        environment=caller.environment,
        token_id=caller.token_id or caller.id,
        status=caller.status,
        expires_on=caller.expires_at,
        allowed_groups=frozenset(caller.allow),
        metrics_admin=caller.metrics_admin,
    )


def _sqlite_url(directory: Path) -> Secret:
    """Name the usage database's file; SQLAlchemy takes a URL's `%` for an escape."""
    path = quote(str(directory / "usage.sqlite"))
    return Secret(f"sqlite:///{path}", source="sqlite")
