import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.activemq.artemis.core.server.ActiveMQServer;
import org.apache.activemq.artemis.core.server.embedded.EmbeddedActiveMQ;
import org.apache.activemq.artemis.spi.core.security.ActiveMQJAASSecurityManager;

/** Runs the broker that ETC/broker.xml describes, until SIGTERM (clean stop) or SIGKILL. Usage: Broker ETC */
public final class Broker {
    public static void main(String[] arguments) throws Exception {
        Path etc = Path.of(arguments[0]);
        System.setProperty("java.security.auth.login.config", etc.resolve("login.config").toString());
        EmbeddedActiveMQ broker = new EmbeddedActiveMQ();
        broker.setConfigResourcePath(etc.resolve("broker.xml").toUri().toString());
        broker.setSecurityManager(new ActiveMQJAASSecurityManager("activemq"));
        try {
            broker.start();
        } catch (Throwable failure) { // threads of the half-started broker would keep the process
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        // A backup becomes active when its primary has gone, which may be never.
        ActiveMQServer server = broker.getActiveMQServer();
        if (!server.getHAPolicy().isBackup() && !server.waitForActivation(60, TimeUnit.SECONDS)) {
            System.err.println("the broker did not become active within 60 s");
            System.exit(1);
        }
        CountDownLatch end = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                broker.stop();
            } catch (Exception failure) {
                failure.printStackTrace();
            } finally {
                end.countDown();
            }
        }));
        end.await();
    }
}
