"""The pytest plugin in runs of its own, as in a user's project; and the examples of its use."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tests.pages import ROOT, blocks

pytest_plugins = ["pytester"]
EXAMPLES = sorted((ROOT / "examples").glob("testing_*.py"))


def is_installed() -> bool:
    return any(point.name == "activeclient" for point in importlib.metadata.entry_points(group="pytest11"))


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run a file of tests in a process of its own, with the plugin as its installation brings it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run_one(*arguments: str) -> pytest.RunResult:
        plugin = () if is_installed() else ("-p", "activeclient.testing.plugin")
        return pytester.runpytest_subprocess(*plugin, "-p", "no:cacheprovider", *arguments)

    return run_one


def test_importing_the_plugin_imports_nothing_of_the_client() -> None:
    code = """
import sys
import pytest
before = set(sys.modules)
import activeclient.testing.plugin
print(sorted(set(sys.modules) - before))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == str(
        ["activeclient", "activeclient.testing", "activeclient.testing.plugin", "activeclient.version"]
    )


def test_the_embedded_brokers_have_the_configuration_of_a_fixture(pytester: pytest.Pytester, run) -> None:
    pytester.makeconftest(
        """
        import pytest
        from activeclient.broker.configuration import AddressSettings, BrokerConfiguration

        @pytest.fixture
        def embedded_broker_configuration():
            return BrokerConfiguration(settings={"#": AddressSettings(max_delivery_attempts=2)})
        """
    )
    pytester.makepyfile(
        """
        import activeclient

        def attempts(url):
            with activeclient.connect(url) as connection, connection.create_session(transacted=True) as session:
                queue = session.create_queue("q")
                session.create_producer(queue).send("poison")
                session.commit()
                consumer = session.create_consumer(queue)
                count = 0
                while consumer.receive(0.2) is not None:
                    session.rollback()
                    count += 1
                return count

        def test_in_memory(embedded_broker):
            assert attempts(embedded_broker.url) == 2
            assert embedded_broker.message_count("DLQ") == 1

        def test_behind_a_link(artemis_broker):
            assert attempts(artemis_broker.url) == 2
            artemis_broker.wait_for_messages("DLQ", 1)
        """
    )
    run().assert_outcomes(passed=2)


def test_the_block_of_the_page_runs(pytester: pytest.Pytester, run) -> None:
    page = ROOT / "docs" / "testing-your-code.md"
    (block,) = (block for block in blocks(page, "python") if "def test_" in block.text)
    pytester.makepyfile(block.text)
    run().assert_outcomes(passed=1)


def test_the_fixtures_give_a_broker_connections_and_queues(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        """
        import activeclient

        def test_in_memory(embedded_broker):
            assert embedded_broker.url.startswith("vm://")
            with activeclient.connect(embedded_broker.url) as connection, connection.create_session() as session:
                queue = session.create_queue("q")
                session.create_producer(queue).send("x")
                assert embedded_broker.message_count("q") == 1

        def test_each_test_has_a_fresh_one(embedded_broker):
            assert "q" not in embedded_broker.queue_names()

        def test_behind_a_link(artemis_broker, jms_session, jms_queue, jms_no_leaks):
            jms_session.create_producer(jms_queue).send("x")
            assert artemis_broker.message_count(jms_queue.name) == 1
            assert artemis_broker.connections == 1
            assert artemis_broker.drop_connections() == 1
            assert jms_session.create_consumer(jms_queue).receive(30).body == "x"

        def test_a_factory_has_connections_that_outlive_cuts(jms_connection_factory):
            assert jms_connection_factory.settings.profile == "reliable"
            jms_connection_factory.create_connection().close()
        """
    )
    run().assert_outcomes(passed=4)


def test_what_a_test_leaves_behind_fails_it(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        """
        import socket
        import activeclient.testing.plugin as plugin

        plugin.PATIENCE = 2.5
        kept = []

        def test_a_connection(artemis_broker):
            kept.append(artemis_broker.connect())

        def test_a_socket(jms_no_leaks):
            kept.append(socket.create_server(("127.0.0.1", 0)))

        def test_nothing(artemis_broker, jms_no_leaks):
            artemis_broker.connect().close()
        """
    )
    ended = run()
    ended.assert_outcomes(passed=3, errors=2)
    ended.stdout.fnmatch_lines(["*left behind: 1 connections to the broker*", "*left behind: *socket port * -> *"])


def test_a_running_broker_is_named_by_an_option_or_the_configuration(pytester: pytest.Pytester, run) -> None:
    from activeclient.testing import EmbeddedBroker

    pytester.makepyfile(
        """
        def test_there(artemis_broker, jms_session, jms_queue):
            jms_session.create_producer(jms_queue).send("x")
            artemis_broker.wait_for_messages(jms_queue.name, 1)

        def test_what_only_an_embedded_one_can_is_skipped(artemis_broker):
            artemis_broker.restart()
        """
    )
    with EmbeddedBroker("named-by-option", port=0) as running:
        before = running.queue_names()
        run("--artemis-url", running.url).assert_outcomes(passed=1, skipped=1)
        pytester.makeini(f"[pytest]\nartemis_url = {running.url}")
        run().assert_outcomes(passed=1, skipped=1)
        assert running.queue_names() == before  # the tests' queues are gone


def test_the_examples_pass_as_users_run_them(run) -> None:
    ended = run(*map(str, EXAMPLES))
    outcomes = ended.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= 10
    assert len(EXAMPLES) == 4
