import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.Destination;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.Topic;
import javax.jms.XAConnection;
import javax.jms.XASession;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;
import org.apache.activemq.artemis.jms.client.ActiveMQDestination;
import org.apache.activemq.artemis.jms.client.ActiveMQXAConnectionFactory;

/**
 * Artemis' JMS client, told what to do by lines of JSON on stdin; one line of JSON answers each. It ends when stdin does.
 *
 * <p>Law: a request that fails is answered with its error, and the next one is heard. All JSON scalars are strings or null.
 */
public final class JmsPeer {
    private final Map<String, Connection> connections = new HashMap<>();
    private final Map<String, Session> sessions = new HashMap<>();
    private final Map<String, MessageConsumer> consumers = new HashMap<>();
    private final Map<String, Message> unacknowledged = new HashMap<>();
    private final Map<String, Destination> temporary = new HashMap<>();
    private final Core core = new Core();

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
        System.setOut(System.err); // a library that prints must not disturb the lines
        JmsPeer peer = new JmsPeer();
        for (BlockingQueue<String> lines = read(System.in); ; ) {
            Object answer;
            try {
                answer = peer.answer(Json.map(new Json(lines.take()).value()));
            } catch (Exception failure) {
                answer = Described.failed(failure);
            }
            StringBuilder text = new StringBuilder();
            Json.write(answer, text);
            out.println(text);
            out.flush();
        }
    }

    /** The lines as they come. Their end is the end of the process, whatever a call of the client may be waiting for. */
    private static BlockingQueue<String> read(InputStream stream) {
        BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> {
            try (BufferedReader in = new BufferedReader(new InputStreamReader(stream, StandardCharsets.US_ASCII))) {
                in.lines().forEach(lines::add);
            } catch (IOException | UncheckedIOException failure) {
                failure.printStackTrace();
            } finally {
                Runtime.getRuntime().halt(0);
            }
        });
        reader.setDaemon(true);
        reader.start();
        return lines;
    }

    private Object answer(Map<String, Object> request) throws Exception {
        switch (Json.text(request, "do")) {
            case "connect":
                return connect(request);
            case "close":
                connections.remove(Json.text(request, "connection")).close();
                return null;
            case "session":
                sessions.put(Json.text(request, "session"), session(request));
                return null;
            case "close_session":
                sessions.remove(Json.text(request, "session")).close();
                return null;
            case "consumer":
                consumers.put(Json.text(request, "consumer"), consumer(request));
                return null;
            case "close_consumer":
                consumers.remove(Json.text(request, "consumer")).close();
                return null;
            case "unsubscribe":
                sessionOf(request).unsubscribe(Json.text(request, "subscription"));
                return null;
            case "temporary":
                return temporary(request);
            case "core":
                return core.answer(request);
            case "send":
                return send(request);
            case "receive":
                return receive(request);
            case "browse":
                return browse(request);
            case "acknowledge":
                unacknowledged.remove(Json.text(request, "consumer")).acknowledge();
                return null;
            case "commit":
                sessionOf(request).commit();
                return null;
            case "rollback":
                sessionOf(request).rollback();
                return null;
            case "recover":
                sessionOf(request).recover();
                return null;
            case "xa":
                return xa(request);
            default:
                throw new IllegalArgumentException("unknown: " + request.get("do"));
        }
    }

    private Object connect(Map<String, Object> request) throws Exception {
        String user = (String) request.get("user");
        String password = (String) request.get("password");
        boolean xa = "true".equals(request.get("xa"));
        ActiveMQConnectionFactory factory = xa
                ? new ActiveMQXAConnectionFactory(Json.text(request, "url"))
                : new ActiveMQConnectionFactory(Json.text(request, "url")); // left open: its end is that of the connection
        Connection made = xa
                ? ((ActiveMQXAConnectionFactory) factory).createXAConnection(user, password)
                : factory.createConnection(user, password);
        if (request.get("client_id") != null) {
            made.setClientID(Json.text(request, "client_id"));
        }
        made.start();
        connections.put(Json.text(request, "connection"), made);
        return null;
    }

    private Session session(Map<String, Object> request) throws JMSException {
        Connection connection = connections.get(Json.text(request, "connection"));
        switch (Json.text(request, "mode")) {
            case "auto":
                return connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            case "client":
                return connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            case "transacted":
                return connection.createSession(true, Session.SESSION_TRANSACTED);
            default:
                return ((XAConnection) connection).createXASession();
        }
    }

    private MessageConsumer consumer(Map<String, Object> request) throws JMSException {
        Session session = sessionOf(request);
        Destination from = destination(Json.text(request, "destination"));
        String selector = (String) request.get("selector");
        String subscription = (String) request.get("subscription");
        boolean shared = "true".equals(request.get("shared"));
        if (subscription == null) {
            return session.createConsumer(from, selector, "true".equals(request.get("no_local")));
        }
        if (shared) {
            return session.createSharedDurableConsumer((Topic) from, subscription, selector);
        }
        return session.createDurableConsumer((Topic) from, subscription, selector, false);
    }

    private Object send(Map<String, Object> request) throws JMSException {
        Session session = sessionOf(request);
        List<Object> sent = new ArrayList<>();
        try (MessageProducer producer = session.createProducer(destination(Json.text(request, "destination")))) {
            for (Object each : Json.list(request.get("messages"))) {
                Map<String, Object> described = Json.map(each);
                try {
                    Message message = Described.message(session, described);
                    producer.setDeliveryDelay(Json.number(described, "delivery_delay", 0));
                    producer.setDisableMessageID("true".equals(described.get("no_id")));
                    producer.setDisableMessageTimestamp("true".equals(described.get("no_timestamp")));
                    producer.send(
                            message,
                            "NON_PERSISTENT".equals(described.get("delivery_mode"))
                                    ? DeliveryMode.NON_PERSISTENT
                                    : DeliveryMode.PERSISTENT,
                            (int) Json.number(described, "priority", 4),
                            Json.number(described, "time_to_live", 0));
                    sent.add(Described.headers(message));
                } catch (JMSException | RuntimeException failure) {
                    sent.add(Described.failed(failure));
                }
            }
        }
        return sent;
    }

    private Object receive(Map<String, Object> request) throws Exception {
        MessageConsumer consumer = consumers.get(Json.text(request, "consumer"));
        long timeout = Json.number(request, "timeout", 0);
        List<Object> received = new ArrayList<>();
        for (long left = Json.number(request, "count", 1); left > 0; left--) {
            Message message = consumer.receive(timeout);
            if (message == null) {
                break;
            }
            received.add(Described.dump(message));
            unacknowledged.put(Json.text(request, "consumer"), message);
        }
        return received;
    }

    private Object browse(Map<String, Object> request) throws Exception {
        List<Object> seen = new ArrayList<>();
        Queue queue = (Queue) destination(Json.text(request, "destination"));
        try (var browser = sessionOf(request).createBrowser(queue, (String) request.get("selector"))) {
            for (Enumeration<?> messages = browser.getEnumeration(); messages.hasMoreElements(); ) {
                seen.add(Described.dump((Message) messages.nextElement()));
            }
        }
        return seen;
    }

    private Object xa(Map<String, Object> request) throws Exception {
        XAResource resource = ((XASession) sessionOf(request)).getXAResource();
        if ("recover".equals(request.get("step"))) {
            List<Object> found = new ArrayList<>();
            for (Xid each : resource.recover(XAResource.TMSTARTRSCAN | XAResource.TMENDRSCAN)) {
                found.add(new String(each.getGlobalTransactionId(), StandardCharsets.US_ASCII));
            }
            return found;
        }
        Xid xid = new Branch(Json.text(request, "xid"));
        switch (Json.text(request, "step")) {
            case "start":
                resource.start(xid, XAResource.TMNOFLAGS);
                return null;
            case "end":
                resource.end(xid, XAResource.TMSUCCESS);
                return null;
            case "prepare":
                return String.valueOf(resource.prepare(xid));
            case "commit":
                resource.commit(xid, false);
                return null;
            default:
                resource.rollback(xid);
                return null;
        }
    }

    /** A branch named by a text. */
    private record Branch(String name) implements Xid {
        @Override
        public int getFormatId() {
            return 7;
        }

        @Override
        public byte[] getGlobalTransactionId() {
            return name.getBytes(StandardCharsets.US_ASCII);
        }

        @Override
        public byte[] getBranchQualifier() {
            return new byte[] {1};
        }
    }

    private Session sessionOf(Map<String, Object> request) {
        return sessions.get(Json.text(request, "session"));
    }

    /** The name of a new temporary destination, by which it is known from then on. */
    private Object temporary(Map<String, Object> request) throws JMSException {
        Session session = sessionOf(request);
        Destination made = "topic".equals(request.get("kind")) ? session.createTemporaryTopic() : session.createTemporaryQueue();
        temporary.put(Described.told(made), made);
        return Described.told(made);
    }

    private Destination destination(String prefixed) {
        Destination own = temporary.get(prefixed);
        return own != null ? own : ActiveMQDestination.fromPrefixedName(prefixed);
    }
}
