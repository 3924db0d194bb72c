import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import javax.jms.BytesMessage;
import javax.jms.DeliveryMode;
import javax.jms.Destination;
import javax.jms.JMSException;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageEOFException;
import javax.jms.ObjectMessage;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.StreamMessage;
import javax.jms.TemporaryQueue;
import javax.jms.TemporaryTopic;
import javax.jms.TextMessage;
import javax.jms.Topic;
import org.apache.activemq.artemis.api.core.SimpleString;
import org.apache.activemq.artemis.api.core.client.ClientMessage;
import org.apache.activemq.artemis.jms.client.ActiveMQDestination;
import org.apache.activemq.artemis.jms.client.ActiveMQMessage;

/**
 * Messages from their descriptions, and what is to be seen of received ones.
 *
 * <p>Law: nothing is rounded, escaped or left out between JMS and the lines. A value is [type, text]: whole numbers in
 * decimal, floats and doubles as the hex of their bits, chars as the hex of the code unit, bytes in hex, texts as JSON
 * strings with every surrogate as it is.
 */
final class Described {
    /** Beyond so many characters or bytes a value is told as its length and the SHA-256 of its (UTF-16BE) bytes. */
    private static final int LONGEST = 65536;

    private static final HexFormat HEX = HexFormat.of();

    private Described() {}

    // --- from a description to a message

    static Message message(Session session, Map<String, Object> described) throws JMSException {
        Message message = withBody(session, Json.text(described, "type"), described.get("body"));
        for (Object each : Json.list(described.getOrDefault("properties", List.of()))) {
            List<Object> pair = Json.list(each);
            setProperty(message, (String) pair.get(0), Json.list(pair.get(1)));
        }
        if (described.get("correlation_id") != null) {
            Object given = value(Json.list(described.get("correlation_id")));
            if (given instanceof byte[]) {
                message.setJMSCorrelationIDAsBytes((byte[]) given);
            } else {
                message.setJMSCorrelationID((String) given);
            }
        }
        if (described.get("reply_to") != null) {
            message.setJMSReplyTo(ActiveMQDestination.fromPrefixedName(Json.text(described, "reply_to")));
        }
        if (described.get("jms_type") != null) {
            message.setJMSType(Json.text(described, "jms_type"));
        }
        return message;
    }

    private static Message withBody(Session session, String type, Object body) throws JMSException {
        switch (type) {
            case "text":
                return session.createTextMessage((String) value(Json.list(body)));
            case "bytes":
                BytesMessage bytes = session.createBytesMessage();
                for (Object each : Json.list(body)) {
                    Object value = value(Json.list(each));
                    if (value instanceof String) {
                        bytes.writeUTF((String) value);
                    } else {
                        bytes.writeObject(value);
                    }
                }
                return bytes;
            case "map":
                MapMessage map = session.createMapMessage();
                for (Object each : Json.list(body)) {
                    List<Object> pair = Json.list(each);
                    map.setObject((String) pair.get(0), value(Json.list(pair.get(1))));
                }
                return map;
            case "stream":
                StreamMessage stream = session.createStreamMessage();
                for (Object each : Json.list(body)) {
                    stream.writeObject(value(Json.list(each)));
                }
                return stream;
            case "object":
                return session.createObjectMessage(deserialized((byte[]) value(Json.list(body))));
            default:
                return session.createMessage();
        }
    }

    private static void setProperty(Message message, String name, List<Object> typed) throws JMSException {
        Object value = value(typed);
        switch ((String) typed.get(0)) {
            case "null", "string" -> message.setStringProperty(name, (String) value);
            case "boolean" -> message.setBooleanProperty(name, (Boolean) value);
            case "byte" -> message.setByteProperty(name, (Byte) value);
            case "short" -> message.setShortProperty(name, (Short) value);
            case "int" -> message.setIntProperty(name, (Integer) value);
            case "long" -> message.setLongProperty(name, (Long) value);
            case "float" -> message.setFloatProperty(name, (Float) value);
            case "double" -> message.setDoubleProperty(name, (Double) value);
            default -> message.setObjectProperty(name, value); // Artemis' own: bytes and chars
        }
    }

    private static Object value(List<Object> typed) {
        String given = typed.size() > 1 ? (String) typed.get(1) : null;
        int times = typed.size() > 2 ? Integer.parseInt((String) typed.get(2)) : 1;
        return switch ((String) typed.get(0)) {
            case "null" -> null;
            case "boolean" -> Boolean.valueOf(given);
            case "byte" -> Byte.valueOf(given);
            case "short" -> Short.valueOf(given);
            case "int" -> Integer.valueOf(given);
            case "long" -> Long.valueOf(given);
            case "float" -> Float.intBitsToFloat(Integer.parseUnsignedInt(given, 16));
            case "double" -> Double.longBitsToDouble(Long.parseUnsignedLong(given, 16));
            case "char" -> (char) Integer.parseInt(given, 16);
            case "string" -> given.repeat(times);
            case "bytes" -> HEX.parseHex(given.repeat(times));
            default -> throw new IllegalArgumentException("unknown type " + typed.get(0));
        };
    }

    // --- from a message to its dump

    static Map<String, Object> headers(Message message) throws JMSException {
        Map<String, Object> dump = new LinkedHashMap<>();
        dump.put("message_id", message.getJMSMessageID());
        dump.put("timestamp", String.valueOf(message.getJMSTimestamp()));
        dump.put("destination", told(message.getJMSDestination()));
        dump.put("delivery_mode", message.getJMSDeliveryMode() == DeliveryMode.PERSISTENT ? "PERSISTENT" : "NON_PERSISTENT");
        dump.put("priority", String.valueOf(message.getJMSPriority()));
        dump.put("expiration", String.valueOf(message.getJMSExpiration()));
        dump.put("delivery_time", String.valueOf(message.getJMSDeliveryTime()));
        dump.put("redelivered", String.valueOf(message.getJMSRedelivered()));
        dump.put("jms_type", message.getJMSType());
        dump.put("reply_to", told(message.getJMSReplyTo()));
        byte[] bytes = message.getJMSCorrelationIDAsBytes();
        String text = message.getJMSCorrelationID();
        dump.put("correlation_id", bytes != null && text == null ? told(bytes) : told((Object) text));
        return dump;
    }

    static Map<String, Object> dump(Message message) throws Exception {
        Map<String, Object> dump = headers(message);
        Map<String, Object> properties = new TreeMap<>();
        for (String name : names(message.getPropertyNames())) {
            properties.put(name, told(message.getObjectProperty(name)));
        }
        dump.put("properties", properties);
        ClientMessage core = ((ActiveMQMessage) message).getCoreMessage();
        Map<String, Object> raw = new TreeMap<>();
        for (SimpleString name : core.getPropertyNames()) {
            raw.put(name.toString(), told(core.getObjectProperty(name)));
        }
        dump.put("core_properties", raw);
        dump.put("core_type", String.valueOf(core.getType()));
        try {
            body(message, dump);
        } catch (JMSException failure) {
            dump.put("body", failed(failure));
        }
        return dump;
    }

    private static void body(Message message, Map<String, Object> dump) throws Exception {
        if (message instanceof TextMessage) {
            dump.put("type", "text");
            dump.put("body", told((Object) ((TextMessage) message).getText()));
        } else if (message instanceof BytesMessage) {
            dump.put("type", "bytes");
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            byte[] piece = new byte[65536];
            for (int size; (size = ((BytesMessage) message).readBytes(piece)) > 0; ) {
                all.write(piece, 0, size);
            }
            dump.put("body", told(all.toByteArray()));
        } else if (message instanceof MapMessage) {
            dump.put("type", "map");
            Map<String, Object> entries = new TreeMap<>();
            for (String name : names(((MapMessage) message).getMapNames())) {
                entries.put(name, told(((MapMessage) message).getObject(name)));
            }
            dump.put("body", entries);
        } else if (message instanceof StreamMessage) {
            dump.put("type", "stream");
            List<Object> values = new ArrayList<>();
            dump.put("body", values);
            try {
                while (true) {
                    values.add(told(((StreamMessage) message).readObject()));
                }
            } catch (MessageEOFException end) {
                return;
            }
        } else if (message instanceof ObjectMessage) {
            dump.put("type", "object");
            dump.put("body", serialized(((ObjectMessage) message).getObject()));
        } else {
            dump.put("type", "message");
            dump.put("body", told((Object) null));
        }
    }

    /** The object of its serialization, as it is told: clients that deserialize nothing see the bytes. */
    private static Serializable deserialized(byte[] bytes) throws JMSException {
        if (bytes == null) {
            return null;
        }
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
            return (Serializable) in.readObject();
        } catch (IOException | ClassNotFoundException failure) {
            throw new JMSException(failure.toString());
        }
    }

    private static List<String> serialized(Serializable object) throws IOException, JMSException {
        if (object == null) {
            return told((Object) null);
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(object);
        }
        return told(bytes.toByteArray());
    }

    static String told(Destination destination) throws JMSException {
        if (destination == null) {
            return null;
        }
        if (destination instanceof TemporaryQueue) {
            return "temp-queue://" + ((Queue) destination).getQueueName();
        }
        if (destination instanceof TemporaryTopic) {
            return "temp-topic://" + ((Topic) destination).getTopicName();
        }
        if (destination instanceof Queue) {
            return "queue://" + ((Queue) destination).getQueueName();
        }
        if (destination instanceof Topic) {
            return "topic://" + ((Topic) destination).getTopicName();
        }
        return ((ActiveMQDestination) destination).getName();
    }

    private static List<String> told(Object value) throws JMSException {
        if (value == null) {
            return List.of("null");
        }
        if (value instanceof Float) {
            return List.of("float", String.format("%08x", Float.floatToRawIntBits((Float) value)));
        }
        if (value instanceof Double) {
            return List.of("double", String.format("%016x", Double.doubleToRawLongBits((Double) value)));
        }
        if (value instanceof Character) {
            return List.of("char", String.format("%04x", (int) (Character) value));
        }
        if (value instanceof byte[]) {
            byte[] bytes = (byte[]) value;
            return bytes.length > LONGEST ? digest("bytes", bytes.length, bytes) : List.of("bytes", HEX.formatHex(bytes));
        }
        if (value instanceof String || value instanceof SimpleString) {
            String text = value.toString();
            return text.length() > LONGEST ? digest("string", text.length(), utf16(text)) : List.of("string", text);
        }
        String type = value.getClass().getSimpleName().toLowerCase(Locale.ROOT);
        return List.of("integer".equals(type) ? "int" : type, value.toString());
    }

    private static List<String> digest(String type, int length, byte[] bytes) throws JMSException {
        try {
            String sum = HEX.formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
            return List.of(type, "sha256:" + sum, String.valueOf(length));
        } catch (NoSuchAlgorithmException impossible) {
            throw new JMSException(impossible.toString());
        }
    }

    /** Big-endian code units; a charset's encoder would replace half a surrogate pair. */
    private static byte[] utf16(String text) {
        byte[] bytes = new byte[2 * text.length()];
        for (int at = 0; at < text.length(); at++) {
            bytes[2 * at] = (byte) (text.charAt(at) >> 8);
            bytes[2 * at + 1] = (byte) text.charAt(at);
        }
        return bytes;
    }

    static Map<String, Object> failed(Exception failure) {
        return Map.of("error", failure.getClass().getSimpleName(), "text", String.valueOf(failure.getMessage()));
    }

    @SuppressWarnings("unchecked")
    private static List<String> names(Enumeration<?> untyped) {
        return Collections.list((Enumeration<String>) untyped);
    }
}
