import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/** Prints what MirrorMaker's own client finds: arguments are the target's brokers, the source's alias, a group. */
public class Positions {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> properties = new HashMap<>();
        properties.put("bootstrap.servers", arguments[0]);
        String alias = arguments[1];
        System.out.println("upstream=" + new TreeSet<>(RemoteClusterUtils.upstreamClusters(properties)));
        System.out.println("hops=" + RemoteClusterUtils.replicationHops(properties, alias));
        System.out.println("heartbeats=" + new TreeSet<>(RemoteClusterUtils.heartbeatTopics(properties)));
        System.out.println("checkpoints=" + new TreeSet<>(RemoteClusterUtils.checkpointTopics(properties)));
        Map<String, String> positions = new TreeMap<>();
        Map<TopicPartition, OffsetAndMetadata> found =
            RemoteClusterUtils.translateOffsets(properties, alias, arguments[2], Duration.ofSeconds(30));
        for (Map.Entry<TopicPartition, OffsetAndMetadata> position : found.entrySet()) {
            OffsetAndMetadata offset = position.getValue();
            positions.put(position.getKey().toString(), offset.offset() + "/" + offset.metadata());
        }
        System.out.println("positions=" + positions);
    }
}
