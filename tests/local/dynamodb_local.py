"""AWS's DynamoDB Local on a loopback port, for tests of the store against a second implementation.

Its licence forbids redistribution, so the project does not contain it: `fetch` downloads it with
Maven into a cache folder once, and `running` runs it while a context is open. Both raise
`Unavailable`, with a reason to skip tests, on a machine that cannot run it.
"""

import http.client
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# 3.3.1 is newer, but some of the AWS SDK artifacts it asks for were not on Maven Central when
# this was pinned.
VERSION = "3.1.0"
JAVA = 17  # the oldest Java that runs it
FETCH_SECONDS = 600.0
START_SECONDS = 60.0

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId> <artifactId>dynamodb-local</artifactId> <version>1</version>
  <dependencies>
    <dependency>
      <groupId>software.amazon.dynamodb</groupId> <artifactId>DynamoDBLocal</artifactId> <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

# DynamoDB Local's own main class binds every interface and has no option against it, so this
# one takes its place:
# the same request handler behind a Jetty bound to 127.0.0.1, on a port the system picks.
# Telemetry is set up by
# the main class alone, so here there is none to turn off. The handler's arguments are: an
# unused port, in memory or not,
# the database's folder or none, one database shared by all credentials and regions, no delay in
# table statuses; then no CORS.
# It ends with its standard input, and so outlives no parent, not even one that is killed.
MAIN = """
import java.net.InetSocketAddress;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBRequestHandler;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBServerHandler;

class Loopback {
    public static void main(String[] args) throws Exception {
        var server = new Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])));
        var folder = args.length > 1 ? args[1] : null;
        var requests = new LocalDynamoDBRequestHandler(0, folder == null, folder, true, false);
        server.setHandler(new LocalDynamoDBServerHandler(requests, null));
        server.start();
        System.out.println("port=" + ((ServerConnector) server.getConnectors()[0]).getLocalPort() + ";");
        while (System.in.read() >= 0) {}
        Runtime.getRuntime().halt(0);
    }
}
"""


class Unavailable(Exception):
    """DynamoDB Local is not available on this machine; the message gives the reason."""


def fetch(cache: Path) -> Path:
    """Returns the folder of DynamoDB Local's libraries in `cache`; downloads missing ones with Maven."""
    _check_java()
    home = cache.resolve() / f"dynamodb-local-{VERSION}"
    if home.is_dir():
        return home
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Unavailable("DynamoDB Local is fetched with Maven, and there is no mvn on the path")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dynamodb-local-", dir=home.parent) as temporary:
        pom, libraries = Path(temporary, "pom.xml"), Path(temporary, "lib")
        pom.write_text(POM, encoding="utf-8")
        # -U, because Maven otherwise remembers for a day that something could not be found.
        # Jars are enough: since 3.0
        # DynamoDB Local's own carries the native SQLite libraries, and unpacks the one it wants.
        command = [
            mvn,
            "-B",
            "-q",
            "-U",
            "-f",
            str(pom),
            COPY,
            "-DincludeTypes=jar",
            f"-DoutputDirectory={libraries}",
        ]
        try:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=FETCH_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(
                f"Maven did not resolve DynamoDB Local {VERSION} in {FETCH_SECONDS:.0f} s"
            ) from None
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            error = next(
                (line.partition("[ERROR] ")[2] for line in lines if "[ERROR] " in line),
                " ".join(lines[-3:]),
            )
            raise Unavailable(f"Maven cannot resolve DynamoDB Local {VERSION}: {error[:500]}")
        try:
            libraries.rename(home)  # only ever whole
        except OSError:
            if (
                not home.is_dir()
            ):  # otherwise another test process was there first, with the same files
                raise
    return home


@contextmanager
def running(cache: Path, *, data: Path | None = None, port: int = 0) -> Iterator[str]:
    """Runs a DynamoDB Local, reachable only from this machine, and yields its endpoint URL.

    It is empty and in memory, unless `data` is a folder, which keeps the data for the next run,
    even after a kill. Without a `port` the system picks one.
    """
    home = fetch(cache)
    with tempfile.TemporaryDirectory(prefix="dynamodb-local-") as temporary:
        main, log = Path(temporary, "Loopback.java"), Path(temporary, "log")
        main.write_text(MAIN, encoding="utf-8")
        # Java's temporary files, the native library among them, go where they are cleared away.
        options = [
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Djava.net.preferIPv4Stack=true",
            f"-Djava.io.tmpdir={temporary}",
        ]
        folder = [str(data)] if data else []
        with log.open("wb") as output:
            # A session of its own: the terminal's interrupt is for the tests, which still need
            # the store to tidy up.
            process = subprocess.Popen(
                ["java", *options, "-cp", f"{home}{os.sep}*", str(main), str(port), *folder],
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, cwd=temporary, start_new_session=True,
            )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{_port(process, log)}"
        finally:
            process.kill()  # what is on disk survives that, and nothing else is worth an orderly end
            process.communicate()


def _check_java() -> None:
    """Raise `Unavailable` unless this machine's Java can compile and run DynamoDB Local's main class."""
    if shutil.which("java") is None or shutil.which("javac") is None:
        raise Unavailable(
            f"DynamoDB Local needs a Java {JAVA} development kit, and java or javac is not on the path"
        )
    version = subprocess.run(["javac", "-version"], check=False, capture_output=True, text=True)
    found = re.search(r"javac (\d+)", version.stdout + version.stderr)
    if found is None or int(found[1]) < JAVA:
        raise Unavailable(
            f"DynamoDB Local needs Java {JAVA} or later, not {found[0] if found else 'an unknown version'}"
        )


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until DynamoDB Local says which port it has and answers on it; raise with its log if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if said := re.search(r"^port=(\d+);", log.read_text(errors="replace"), re.MULTILINE):
            connection = http.client.HTTPConnection(
                "127.0.0.1", int(said[1]), timeout=START_SECONDS
            )
            scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request"
            headers = {
                "X-Amz-Target": "DynamoDB_20120810.ListTables",
                "Content-Type": "application/x-amz-json-1.0",
            }
            connection.request(
                "POST",
                "/",
                "{}",
                headers | {"Authorization": f"{scope}, SignedHeaders=host, Signature=0"},
            )
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
            connection.close()
            if status == http.client.OK:
                return int(said[1])
            raise RuntimeError(
                f"DynamoDB Local answered {status}: {body!r}\n{log.read_text(errors='replace')[-4000:]}"
            )
        time.sleep(0.05)
    raise RuntimeError(f"DynamoDB Local did not start\n{log.read_text(errors='replace')[-4000:]}")
