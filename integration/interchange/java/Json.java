import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The part of JSON that is used here: objects, arrays, strings, null. What else there is, is not looked for. */
final class Json {
    private final String line;
    private int at;

    Json(String line) {
        this.line = line;
    }

    Object value() {
        char next = next();
        switch (next) {
            case '{':
                Map<String, Object> object = new LinkedHashMap<>();
                for (char more = peek(); more != '}'; more = separator()) {
                    next();
                    String key = string();
                    next(); // the colon
                    object.put(key, value());
                }
                at++;
                return object;
            case '[':
                List<Object> array = new ArrayList<>();
                for (char more = peek(); more != ']'; more = separator()) {
                    array.add(value());
                }
                at++;
                return array;
            case '"':
                return string();
            default:
                at += "null".length() - 1;
                return null;
        }
    }

    private char next() {
        char found = peek();
        at++;
        return found;
    }

    private char peek() {
        while (line.charAt(at) == ' ') {
            at++;
        }
        return line.charAt(at);
    }

    private char separator() {
        if (peek() == ',') {
            at++;
        }
        return peek();
    }

    private String string() {
        StringBuilder text = new StringBuilder();
        for (char next = line.charAt(at++); next != '"'; next = line.charAt(at++)) {
            if (next != '\\') {
                text.append(next);
                continue;
            }
            char escaped = line.charAt(at++);
            switch (escaped) {
                case 'u':
                    text.append((char) Integer.parseInt(line, at, at + 4, 16));
                    at += 4;
                    break;
                case 'n':
                    text.append('\n');
                    break;
                case 'r':
                    text.append('\r');
                    break;
                case 't':
                    text.append('\t');
                    break;
                case 'b':
                    text.append('\b');
                    break;
                case 'f':
                    text.append('\f');
                    break;
                default:
                    text.append(escaped);
            }
        }
        return text.toString();
    }

    static void write(Object value, StringBuilder out) {
        if (value == null) {
            out.append("null");
        } else if (value instanceof Map) {
            String before = "{";
            for (Map.Entry<String, Object> entry : map(value).entrySet()) {
                out.append(before);
                write(entry.getKey(), out);
                out.append(':');
                write(entry.getValue(), out);
                before = ",";
            }
            out.append(before.equals("{") ? "{}" : "}");
        } else if (value instanceof List) {
            String before = "[";
            for (Object each : list(value)) {
                out.append(before);
                write(each, out);
                before = ",";
            }
            out.append(before.equals("[") ? "[]" : "]");
        } else {
            out.append('"');
            for (char each : ((String) value).toCharArray()) {
                if (each >= ' ' && each < 127 && each != '"' && each != '\\') {
                    out.append(each);
                } else {
                    out.append(String.format("\\u%04x", (int) each));
                }
            }
            out.append('"');
        }
    }

    // --- typed access

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    static String text(Map<String, Object> request, String key) {
        Object value = request.get(key);
        if (value == null) {
            throw new IllegalArgumentException("missing: " + key);
        }
        return (String) value;
    }

    static long number(Map<String, Object> request, String key, long otherwise) {
        Object value = request.get(key);
        return value == null ? otherwise : Long.parseLong((String) value);
    }
}
