import java.io.PrintStream;
import java.util.Collections;
import java.util.ArrayList;
import java.util.List;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/**
 * Sends a numbered durable message every few milliseconds, waits for the broker each time, and receives them. Usage:
 * Pulse URL QUEUE MILLISECONDS. It says "ready" when the first message went round, and ends when its stdin does: then it
 * prints a line "sent NUMBER BEGIN END" or "received NUMBER TIME" for each message, in milliseconds since the epoch.
 *
 * <p>Law: a send that fails is repeated under its duplicate id until it succeeds, as a careful application would.
 */
public final class Pulse {
    private static final List<String> LINES = Collections.synchronizedList(new ArrayList<>());
    private static final long LAST_MILLISECONDS = 60_000;
    private static volatile boolean ended;
    private static volatile int last = -1;

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err); // a library that prints must not disturb the lines
        long pause = Long.parseLong(arguments[2]);
        try (ActiveMQConnectionFactory factory = new ActiveMQConnectionFactory(arguments[0]);
                Connection connection = factory.createConnection()) {
            Session sending = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Session receiving = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = sending.createQueue(arguments[1]);
            MessageProducer producer = sending.createProducer(queue);
            producer.setDeliveryMode(DeliveryMode.PERSISTENT);
            MessageConsumer consumer = receiving.createConsumer(queue);
            connection.start();
            send(sending, producer, 0);
            note("received", consumer.receive());
            out.println("ready");
            out.flush();
            Thread receiver = new Thread(() -> receive(consumer));
            receiver.start();
            Thread waiter = new Thread(Pulse::waitForEnd);
            waiter.setDaemon(true);
            waiter.start();
            int number = 1;
            for (; !ended; number++) {
                send(sending, producer, number);
                Thread.sleep(pause);
            }
            last = number - 1;
            receiver.join();
        }
        LINES.forEach(out::println);
        out.flush();
        System.exit(0);
    }

    private static void send(Session session, MessageProducer producer, int number) throws Exception {
        Message message = session.createMessage();
        message.setIntProperty("n", number);
        message.setStringProperty("_AMQ_DUPL_ID", "pulse-" + ProcessHandle.current().pid() + "-" + number);
        long begin = System.currentTimeMillis();
        while (true) {
            try {
                producer.send(message);
                LINES.add("sent " + number + " " + begin + " " + System.currentTimeMillis());
                return;
            } catch (JMSException failure) {
                Thread.sleep(1);
            }
        }
    }

    /** Until the last message has come, or nothing comes for a minute. */
    private static void receive(MessageConsumer consumer) {
        long moved = System.currentTimeMillis();
        for (int number = 0; number != last && System.currentTimeMillis() - moved < LAST_MILLISECONDS; ) {
            try {
                Message message = consumer.receive(1000);
                if (message != null) {
                    note("received", message);
                    number = message.getIntProperty("n");
                }
                if (message != null || last < 0) {
                    moved = System.currentTimeMillis();
                }
            } catch (JMSException failure) {
                System.err.println(failure);
            }
        }
    }

    private static void note(String what, Message message) throws JMSException {
        LINES.add(what + " " + message.getIntProperty("n") + " " + System.currentTimeMillis());
    }

    private static void waitForEnd() {
        try {
            while (System.in.read() >= 0) {}
        } catch (java.io.IOException failure) {
            System.err.println(failure);
        }
        ended = true;
    }
}
