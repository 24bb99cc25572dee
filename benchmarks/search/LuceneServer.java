// build ROWS INDEX            indexes a file of rows;
// serve INDEX ROWS THREADS    says "ready" and the nanoseconds that opening took, then for each k read from
//                             standard input answers a file of queries: a line per query, nanoseconds and documents.
// A weight is a term frequency, and the score is the sum of boost times frequency. With THREADS = 0 nanoseconds are
// those of the one thread's processor time, otherwise a query's share of the wall clock. Each k is warmed up before it is timed.
import java.io.*;
import java.lang.management.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import org.apache.lucene.analysis.*;
import org.apache.lucene.analysis.core.KeywordAnalyzer;
import org.apache.lucene.analysis.tokenattributes.*;
import org.apache.lucene.document.*;
import org.apache.lucene.index.*;
import org.apache.lucene.search.*;
import org.apache.lucene.search.similarities.*;
import org.apache.lucene.store.*;

public class LuceneServer {
  static class Row extends TokenStream {
    final CharTermAttribute term = addAttribute(CharTermAttribute.class);
    final TermFrequencyAttribute frequency = addAttribute(TermFrequencyAttribute.class);
    int[] terms, weights;
    int at, end;

    public boolean incrementToken() {
      if (at >= end) return false;
      clearAttributes();
      term.append("t" + terms[at]);
      frequency.setTermFrequency(weights[at++]);
      return true;
    }
  }

  static class Impact extends Similarity {
    public long computeNorm(FieldInvertState state) { return 1; }
    public SimScorer scorer(float boost, CollectionStatistics collection, TermStatistics... terms) {
      return new SimScorer() { public float score(float frequency, long norm) { return boost * frequency; } };
    }
  }

  static int[][] read(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path)) {
      ByteBuffer head = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
      while (head.hasRemaining()) channel.read(head);
      head.flip();
      int rows = (int) head.getLong(), entries = (int) head.getLong();
      int[][] arrays = {new int[rows + 1], new int[entries], new int[entries]};
      ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
      for (int[] array : arrays)
        for (int done = 0; done < array.length; ) {
          buffer.clear().limit((int) Math.min(1 << 20, 4L * (array.length - done)));
          while (buffer.hasRemaining()) channel.read(buffer);
          IntBuffer whole = buffer.flip().asIntBuffer();
          int n = whole.remaining();
          whole.get(array, done, n);
          done += n;
        }
      return arrays;
    }
  }

  static final long WARM = 3_000_000_000L; // nanoseconds
  static IndexSearcher searcher;
  static final ThreadMXBean clock = ManagementFactory.getThreadMXBean();

  static void build(Path documents, Path folder) throws IOException {
    int[][] rows = read(documents);
    Directory directory = new MMapDirectory(folder);
    IndexWriterConfig config = new IndexWriterConfig(new KeywordAnalyzer());
    config.setSimilarity(new Impact()).setRAMBufferSizeMB(1500);
    FieldType type = new FieldType();
    type.setTokenized(true);
    type.setIndexOptions(IndexOptions.DOCS_AND_FREQS);
    type.setOmitNorms(true);
    type.freeze();
    Row row = new Row();
    row.terms = rows[1];
    row.weights = rows[2];
    try (IndexWriter writer = new IndexWriter(directory, config)) {
      for (int doc = 0; doc + 1 < rows[0].length; doc++) {
        row.at = rows[0][doc];
        row.end = rows[0][doc + 1];
        Document document = new Document();
        document.add(new Field("f", row, type));
        writer.addDocument(document);
      }
      writer.forceMerge(1);
    }
  }

  static Query query(int[][] rows, int q) {
    BooleanQuery.Builder builder = new BooleanQuery.Builder();
    for (int j = rows[0][q]; j < rows[0][q + 1]; j++)
      builder.add(new BoostQuery(new TermQuery(new Term("f", "t" + rows[1][j])), rows[2][j]), BooleanClause.Occur.SHOULD);
    return builder.build();
  }

  // Fills nanoseconds of processor time and documents of one query.
  static void answer(Query query, int k, int q, long[] spent, int[][] docs) throws IOException {
    long start = clock.getCurrentThreadCpuTime();
    TopScoreDocCollector collector = TopScoreDocCollector.create(k, k);
    searcher.search(query, collector);
    ScoreDoc[] hits = collector.topDocs().scoreDocs;
    spent[q] = clock.getCurrentThreadCpuTime() - start;
    docs[q] = new int[hits.length];
    for (int i = 0; i < hits.length; i++) docs[q][i] = hits[i].doc;
  }

  static void answerAll(Query[] queries, int k, ExecutorService threads, long[] spent, int[][] docs) throws Exception {
    if (threads == null) {
      for (int q = 0; q < queries.length; q++) answer(queries[q], k, q, spent, docs);
      return;
    }
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < queries.length; i++) {
      int q = i;
      tasks.add(() -> { answer(queries[q], k, q, spent, docs); return null; });
    }
    long start = System.nanoTime();
    for (Future<Void> task : threads.invokeAll(tasks)) task.get();
    Arrays.fill(spent, (System.nanoTime() - start) / queries.length);
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("build")) {
      build(Path.of(arguments[1]), Path.of(arguments[2]));
      return;
    }
    long opening = System.nanoTime();
    searcher = new IndexSearcher(DirectoryReader.open(new MMapDirectory(Path.of(arguments[1]))));
    searcher.setSimilarity(new Impact());
    searcher.setQueryCache(null);
    System.out.println("ready " + (System.nanoTime() - opening));
    int n = Integer.parseInt(arguments[3]);
    ExecutorService threads = n > 0 ? Executors.newFixedThreadPool(n) : null;
    Set<Integer> warm = new HashSet<>();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = input.readLine()) != null; ) {
      int k = Integer.parseInt(line.trim());
      int[][] rows = read(Path.of(arguments[2]));
      Query[] queries = new Query[rows[0].length - 1];
      for (int q = 0; q < queries.length; q++) queries[q] = query(rows, q);
      long[] spent = new long[queries.length];
      int[][] docs = new int[queries.length][];
      if (warm.add(k))
        for (long start = System.nanoTime(); System.nanoTime() - start < WARM; ) answerAll(queries, k, threads, spent, docs);
      answerAll(queries, k, threads, spent, docs);
      StringBuilder output = new StringBuilder();
      for (int q = 0; q < queries.length; q++) {
        output.append(spent[q]);
        for (int doc : docs[q]) output.append(' ').append(doc);
        output.append('\n');
      }
      System.out.print(output);
      System.out.flush();
    }
    System.exit(0);
  }
}
