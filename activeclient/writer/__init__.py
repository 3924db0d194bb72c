"""Writing a stream of messages to one destination while its broker comes and goes (the RTMP stream writer's design).

Law of this package: what a writer has taken is delivered in order, exactly once, however often the broker, the network
or this program goes away; one writer never waits for another.
"""

from activeclient.writer.options import ReconnectOptions
from activeclient.writer.stream_writer import StreamWriter, WriterState, WriterStatus

__all__ = ["ReconnectOptions", "StreamWriter", "WriterState", "WriterStatus"]
