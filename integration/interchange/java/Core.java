import java.io.ByteArrayInputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.activemq.artemis.api.core.QueueConfiguration;
import org.apache.activemq.artemis.api.core.RoutingType;
import org.apache.activemq.artemis.api.core.SimpleString;
import org.apache.activemq.artemis.api.core.client.ActiveMQClient;
import org.apache.activemq.artemis.api.core.client.ClientConsumer;
import org.apache.activemq.artemis.api.core.client.ClientMessage;
import org.apache.activemq.artemis.api.core.client.ClientProducer;
import org.apache.activemq.artemis.api.core.client.ClientSession;
import org.apache.activemq.artemis.api.core.client.ClientSessionFactory;
import org.apache.activemq.artemis.api.core.client.ServerLocator;

/**
 * Artemis' core client, told what to do as JmsPeer is.
 *
 * <p>Law: a message is its number, the property `n`, and a body of so many bytes, each of them the number's lowest byte.
 */
final class Core {
    private final Map<String, ServerLocator> locators = new HashMap<>();
    private final Map<String, ClientSessionFactory> factories = new HashMap<>();
    private final Map<String, ClientSession> sessions = new HashMap<>();
    private final Map<String, ClientConsumer> consumers = new HashMap<>();

    Object answer(Map<String, Object> request) throws Exception {
        String name = Json.text(request, "session");
        ClientSession session = sessions.get(name);
        switch (Json.text(request, "step")) {
            case "open" -> open(name, request);
            case "close" -> close(name);
            case "create_queue" -> session.createQueue(QueueConfiguration.of(Json.text(request, "queue"))
                    .setAddress((String) request.getOrDefault("address", request.get("queue")))
                    .setFilterString((String) request.get("filter"))
                    .setRoutingType("multicast".equals(request.get("routing")) ? RoutingType.MULTICAST : RoutingType.ANYCAST));
            case "delete_queue" -> session.deleteQueue(Json.text(request, "queue"));
            case "send" -> send(session, request);
            case "consume" -> {
                String queue = Json.text(request, "queue");
                consumers.put(name, session.createConsumer(queue, (String) request.get("filter")));
            }
            case "receive" -> {
                return receive(consumers.get(name), request);
            }
            case "commit" -> session.commit();
            case "rollback" -> session.rollback();
            case "count" -> {
                var queue = SimpleString.of(Json.text(request, "queue"));
                return String.valueOf(session.queueQuery(queue).getMessageCount());
            }
            case "exists" -> {
                var queue = SimpleString.of(Json.text(request, "queue"));
                return String.valueOf(session.queueQuery(queue).isExists());
            }
            default -> throw new IllegalArgumentException("unknown: " + request.get("step"));
        }
        return null;
    }

    private void open(String name, Map<String, Object> request) throws Exception {
        ServerLocator locator = ActiveMQClient.createServerLocator(Json.text(request, "url"));
        locators.put(name, locator);
        ClientSessionFactory factory = locator.createSessionFactory();
        factories.put(name, factory);
        boolean automatic = !"true".equals(request.get("transacted"));
        ClientSession session = factory.createSession(
                (String) request.get("user"), (String) request.get("password"), false, automatic, automatic, false, 1);
        session.start();
        sessions.put(name, session);
    }

    private void close(String name) throws Exception {
        sessions.remove(name).close();
        factories.remove(name).close();
        locators.remove(name).close();
        consumers.remove(name);
    }

    private static void send(ClientSession session, Map<String, Object> request) throws Exception {
        int size = (int) Json.number(request, "size", 10);
        long first = Json.number(request, "first", 0);
        boolean stream = "true".equals(request.get("stream"));
        try (ClientProducer producer = session.createProducer(Json.text(request, "address"))) {
            for (long number = first; number < first + Json.number(request, "count", 1); number++) {
                ClientMessage message = session.createMessage(!"false".equals(request.get("durable")));
                message.putLongProperty("n", number);
                byte[] body = new byte[size];
                java.util.Arrays.fill(body, (byte) number);
                if (stream) {
                    message.setBodyInputStream(new ByteArrayInputStream(body));
                } else {
                    message.getBodyBuffer().writeBytes(body);
                }
                producer.send(message);
            }
        }
    }

    private static Object receive(ClientConsumer consumer, Map<String, Object> request) throws Exception {
        List<Object> numbers = new ArrayList<>();
        for (long left = Json.number(request, "count", 1); left > 0; left--) {
            ClientMessage message = consumer.receive(Json.number(request, "timeout", 0));
            if (message == null) {
                break;
            }
            long number = message.getLongProperty("n");
            byte[] body = new byte[message.getBodySize()];
            message.getBodyBuffer().readBytes(body);
            for (byte each : body) {
                if (each != (byte) number) {
                    throw new IllegalStateException("the body of message " + number + " is damaged");
                }
            }
            message.acknowledge();
            numbers.add(List.of(
                    String.valueOf(number), String.valueOf(body.length), String.valueOf(message.getDeliveryCount())));
        }
        return numbers;
    }
}
