import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.activemq.artemis.api.core.client.ActiveMQClient;
import org.apache.activemq.artemis.api.core.client.ClientConsumer;
import org.apache.activemq.artemis.api.core.client.ClientMessage;
import org.apache.activemq.artemis.api.core.client.ClientProducer;
import org.apache.activemq.artemis.api.core.client.ClientSession;
import org.apache.activemq.artemis.api.core.client.ClientSessionFactory;
import org.apache.activemq.artemis.api.core.client.SendAcknowledgementHandler;
import org.apache.activemq.artemis.api.core.client.ServerLocator;

/**
 * The Java core client as a benchmark peer: tasks and keys are those of benchmarks/peers/common.py.
 *
 * Law of this file: it does what the Python peers do, in the same order and between the same two time stamps; the
 * settings are the client's defaults but for those that a mode names.
 */
public final class CorePeer {
    private static final long RECEIVE_TIMEOUT_MS = 10_000;
    private static final long CONFIRM_TIMEOUT_MS = 60_000;

    private final Map<String, String> task;
    private final String user = System.getenv("ACTIVECLIENT_BENCH_USER");
    private final String password = System.getenv("ACTIVECLIENT_BENCH_PASSWORD");
    private final StringBuilder out = new StringBuilder();

    private CorePeer(Map<String, String> task) {
        this.task = task;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> task = new HashMap<>();
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            task.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
        CorePeer peer = new CorePeer(task);
        String name = task.get("task");
        try {
            switch (name) {
                case "send" -> peer.send();
                case "receive" -> peer.receive();
                case "pingpong" -> peer.pingPong();
                case "first" -> peer.first();
                case "idle" -> peer.idle();
                case "scale" -> peer.scale();
                case "reattach" -> peer.reattach();
                default -> throw new IllegalArgumentException("task=" + name + ": not one this peer knows");
            }
        } catch (Throwable failure) {
            String text = failure.toString().replace("\\", "\\\\").replace("\"", "'").replaceAll("\\s+", " ");
            System.out.println("{\"error\": \"" + text + "\"}");
            System.out.flush();
            System.exit(1);
        }
        System.out.println("{" + peer.out + "}");
        System.out.flush();
        System.exit(0);
    }

    // --- the tasks -----------------------------------------------------------------------------------------------

    private void send() throws Exception {
        boolean unlimited = task.get("mode").equals("unlimited");
        String extra = "confirmationWindowSize=1048576" + (unlimited ? "&producerWindowSize=-1" : "");
        try (ServerLocator locator = locator(task.get("url"), extra);
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            ClientProducer producer = session.createProducer(task.get("queue"));
            byte[] body = new byte[integer("size")];
            int warm = sendUpTo(session, producer, body, integer("warm"), number("warm_seconds"));
            double cpu = cpu();
            long start = System.nanoTime();
            int sent = sendUpTo(session, producer, body, integer("messages"), number("seconds"));
            long end = System.nanoTime();
            put("messages", sent);
            put("total", warm + sent);
            put("seconds", (end - start) / 1e9);
            put("cpu", cpu() - cpu);
            memory();
        }
    }

    private int sendUpTo(ClientSession session, ClientProducer producer, byte[] body, int messages, double seconds)
            throws Exception {
        boolean durable = task.get("durable").equals("1");
        AtomicInteger confirmed = new AtomicInteger();
        Object all = new Object();
        int[] goal = {-1};
        SendAcknowledgementHandler handler = message -> {
            int count = confirmed.incrementAndGet();
            if (count == goal[0]) {
                synchronized (all) {
                    all.notifyAll();
                }
            }
        };
        long deadline = System.nanoTime() + (long) (seconds * 1e9);
        int sent = 0;
        while (sent < messages) {
            ClientMessage message = session.createMessage(durable);
            message.getBodyBuffer().writeBytes(body);
            producer.send(message, handler);
            sent++;
            if ((sent & 127) == 0 && System.nanoTime() > deadline) {
                break;
            }
        }
        long last = System.currentTimeMillis() + CONFIRM_TIMEOUT_MS;
        synchronized (all) {
            goal[0] = sent;
            while (confirmed.get() < sent) {
                if (System.currentTimeMillis() > last) {
                    throw new IllegalStateException(confirmed.get() + " of " + sent + " sends confirmed in 60 s");
                }
                all.wait(1);
            }
        }
        return sent;
    }

    private void receive() throws Exception {
        String extra = task.get("mode").equals("each") ? "ackBatchSize=0" : "";
        try (ServerLocator locator = locator(task.get("url"), extra);
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            ClientConsumer consumer = session.createConsumer(task.get("queue"));
            session.start();
            receiveUpTo(consumer, integer("warm"));
            double cpu = cpu();
            long start = System.nanoTime();
            int got = receiveUpTo(consumer, integer("messages"));
            long end = System.nanoTime();
            put("messages", got);
            put("seconds", (end - start) / 1e9);
            put("cpu", cpu() - cpu);
            memory();
        }
    }

    private int receiveUpTo(ClientConsumer consumer, int messages) throws Exception {
        int size = integer("size");
        byte[] body = new byte[size];
        for (int got = 0; got < messages; got++) {
            ClientMessage message = consumer.receive(RECEIVE_TIMEOUT_MS);
            if (message == null) {
                throw new IllegalStateException(got + " of " + messages + " messages came, then none for 10 s");
            }
            message.getBodyBuffer().readBytes(body);
            message.acknowledge();
        }
        return messages;
    }

    private void pingPong() throws Exception {
        try (ServerLocator locator = locator(task.get("url"), "confirmationWindowSize=1048576");
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            ClientProducer producer = session.createProducer(task.get("queue"));
            ClientConsumer consumer = session.createConsumer(task.get("queue"));
            session.start();
            rounds(session, producer, consumer, integer("warm"), number("warm_seconds"));
            double cpu = cpu();
            long start = System.nanoTime();
            long[] times = rounds(session, producer, consumer, integer("messages"), number("seconds"));
            long end = System.nanoTime();
            put("messages", times.length);
            put("seconds", (end - start) / 1e9);
            put("cpu", cpu() - cpu);
            latencies(times);
            memory();
        }
    }

    private long[] rounds(
            ClientSession session, ClientProducer producer, ClientConsumer consumer, int messages, double seconds)
            throws Exception {
        boolean durable = task.get("durable").equals("1");
        byte[] body = new byte[integer("size")];
        SendAcknowledgementHandler ignore = message -> { };
        long[] times = new long[messages];
        long deadline = System.nanoTime() + (long) (seconds * 1e9);
        int done = 0;
        while (done < messages && System.nanoTime() < deadline) {
            long start = System.nanoTime();
            ClientMessage message = session.createMessage(durable);
            message.getBodyBuffer().writeBytes(body);
            producer.send(message, ignore);
            ClientMessage back = consumer.receive(RECEIVE_TIMEOUT_MS);
            if (back == null) {
                throw new IllegalStateException("a message did not come back in 10 s");
            }
            back.acknowledge();
            times[done++] = System.nanoTime() - start;
        }
        return Arrays.copyOf(times, done);
    }

    private void first() throws Exception {
        try (ServerLocator locator = locator(task.get("url"), "confirmationWindowSize=1048576");
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            ClientProducer producer = session.createProducer(task.get("queue"));
            ClientConsumer consumer = session.createConsumer(task.get("queue"));
            session.start();
            java.util.concurrent.CountDownLatch confirmed = new java.util.concurrent.CountDownLatch(1);
            ClientMessage message = session.createMessage(task.get("durable").equals("1"));
            message.getBodyBuffer().writeBytes(new byte[integer("size")]);
            producer.send(message, sent -> confirmed.countDown());
            if (!confirmed.await(10, java.util.concurrent.TimeUnit.SECONDS)) {
                throw new IllegalStateException("the first message was not confirmed in 10 s");
            }
            double confirmedAt = epochMicros() / 1e6;
            ClientMessage back = consumer.receive(RECEIVE_TIMEOUT_MS);
            back.acknowledge();
            put("messages", 1);
            put("confirmed", confirmedAt - number("started"));
            put("received", epochMicros() / 1e6 - number("started"));
            put("cpu", cpu());
            memory();
        }
    }

    private void idle() throws Exception {
        try (ServerLocator locator = locator(task.get("url"), "confirmationWindowSize=1048576");
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            session.createProducer(task.get("queue"));
            session.createConsumer(task.get("queue"));
            session.start();
            double cpu = cpu();
            long start = System.nanoTime();
            Thread.sleep((long) (number("seconds") * 1000));
            put("messages", 0);
            put("seconds", (System.nanoTime() - start) / 1e9);
            put("cpu", cpu() - cpu);
            put("threads", threads());
            memory();
        }
    }

    private void scale() throws Exception {
        boolean connections = task.get("kind").equals("connections");
        int count = integer("count");
        int messages = integer("messages");
        double rssBefore = status("VmRSS:") / 1024.0;
        int threadsBefore = threads();
        long open = System.nanoTime();
        ServerLocator locator = locator(task.get("url"), "confirmationWindowSize=1048576");
        List<ClientSession> sessions = new ArrayList<>();
        List<ClientProducer> producers = new ArrayList<>();
        List<ClientConsumer> consumers = new ArrayList<>();
        ClientSessionFactory factory = null;
        for (int index = 0; index < count; index++) {
            if (factory == null || connections) {
                factory = locator.createSessionFactory();
            }
            ClientSession session = session(factory);
            sessions.add(session);
            producers.add(session.createProducer(task.get("queue") + "." + index));
            consumers.add(session.createConsumer(task.get("queue") + "." + index));
            session.start();
        }
        put("open", (System.nanoTime() - open) / 1e9);
        put("threads", threads() - threadsBefore);
        put("kb_each", (status("VmRSS:") / 1024.0 - rssBefore) * 1024.0 / count);
        byte[] body = new byte[integer("size")];
        AtomicInteger confirmed = new AtomicInteger();
        SendAcknowledgementHandler handler = message -> confirmed.incrementAndGet();
        double cpu = cpu();
        long start = System.nanoTime();
        for (int index = 0; index < messages; index++) {
            ClientMessage message = sessions.get(index % count).createMessage(false);
            message.getBodyBuffer().writeBytes(body);
            producers.get(index % count).send(message, handler);
        }
        for (int index = 0; index < messages; index++) {
            ClientMessage message = consumers.get(index % count).receive(RECEIVE_TIMEOUT_MS);
            if (message == null) {
                throw new IllegalStateException(index + " of " + messages + " messages came, then none for 10 s");
            }
            message.getBodyBuffer().readBytes(body);
            message.acknowledge();
        }
        put("messages", messages);
        put("seconds", (System.nanoTime() - start) / 1e9);
        put("cpu", cpu() - cpu);
        memory();
    }

    private void reattach() throws Exception {
        String extra = "reconnectAttempts=-1&retryInterval=1";
        if (task.get("mode").equals("window")) {
            extra += "&confirmationWindowSize=1048576";
        }
        AtomicBoolean stop = new AtomicBoolean();
        Thread load = new Thread(() -> load(stop));
        load.setDaemon(true);
        load.start();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        try (ServerLocator locator = locator(task.get("proxy"), extra);
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            ClientConsumer consumer = session.createConsumer(task.get("queue"));
            session.start();
            int cuts = integer("messages");
            long[] gaps = new long[cuts];
            for (int cut = 0; cut < cuts; cut++) {
                long settled = System.nanoTime() + 300_000_000L;
                while (System.nanoTime() < settled) {
                    after(consumer, 0);
                }
                System.out.println("{\"cut\": " + cut + "}");
                System.out.flush();
                String[] beforeAndAfter = in.readLine().trim().split(" ");
                long back = after(consumer, Long.parseLong(beforeAndAfter[1]));
                gaps[cut] = (back - Long.parseLong(beforeAndAfter[0])) * 1000;
            }
            stop.set(true);
            put("messages", cuts);
            latencies(gaps);
            memory();
        }
    }

    private long after(ClientConsumer consumer, long sentAfter) throws Exception {
        while (true) {
            ClientMessage message = consumer.receive(RECEIVE_TIMEOUT_MS);
            if (message == null) {
                throw new IllegalStateException("nothing received for 10 s");
            }
            long sent = message.getBodyBuffer().readLong();
            long now = epochMicros();
            message.acknowledge();
            if (sent > sentAfter) {
                return now;
            }
        }
    }

    private void load(AtomicBoolean stop) {
        try (ServerLocator locator = locator(task.get("url"), "");
                ClientSessionFactory factory = locator.createSessionFactory();
                ClientSession session = session(factory)) {
            ClientProducer producer = session.createProducer(task.get("queue"));
            while (!stop.get()) {
                ClientMessage message = session.createMessage(false);
                message.getBodyBuffer().writeLong(epochMicros());
                producer.send(message);
                Thread.sleep(2);
            }
        } catch (Exception failure) {
            System.err.println("load: " + failure);
        }
    }

    // --- the connection ------------------------------------------------------------------------------------------

    private static ServerLocator locator(String url, String extra) throws Exception {
        String joined = extra.isEmpty() ? url : url + (url.contains("?") ? "&" : "?") + extra;
        return ActiveMQClient.createServerLocator(joined);
    }

    private ClientSession session(ClientSessionFactory factory) throws Exception {
        int batch = factory.getServerLocator().getAckBatchSize();
        return factory.createSession(user, password, false, true, true, false, batch);
    }

    // --- measuring -----------------------------------------------------------------------------------------------

    private int integer(String key) {
        return Integer.parseInt(task.get(key));
    }

    private double number(String key) {
        return Double.parseDouble(task.get(key));
    }

    private void put(String key, Number value) {
        if (out.length() > 0) {
            out.append(", ");
        }
        out.append('"').append(key).append("\": ").append(value);
    }

    private void latencies(long[] nanos) {
        long[] sorted = nanos.clone();
        Arrays.sort(sorted);
        double[] quantiles = {0.5, 0.9, 0.99, 1.0};
        String[] names = {"p50", "p90", "p99", "max"};
        for (int index = 0; index < names.length && sorted.length > 0; index++) {
            int rank = (int) Math.ceil(quantiles[index] * sorted.length) - 1;
            put(names[index], sorted[Math.max(0, rank)] / 1000.0);
        }
    }

    private void memory() throws Exception {
        put("rss", status("VmRSS:") / 1024.0);
        put("peak_rss", status("VmHWM:") / 1024.0);
    }

    private static long status(String key) throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(key)) {
                return Long.parseLong(line.substring(key.length()).replace("kB", "").trim());
            }
        }
        return 0;
    }

    private static int threads() throws Exception {
        return (int) status("Threads:");
    }

    private static double cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                        .getProcessCpuTime()
                / 1e9;
    }

    private static long epochMicros() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000L + now.getNano() / 1000;
    }
}
