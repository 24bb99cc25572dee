// Indexes FOLDER/documents.bin into FOLDER/index unless it is there, says "ready", then for each k read from
// standard input answers FOLDER/queries.bin: a line per query, nanoseconds of processor time and the documents.
// A weight is a term frequency, and the score is the sum of boost times frequency.
import java.io.*;
import java.lang.management.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
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

  static void build(Path folder, Directory directory) throws IOException {
    int[][] rows = read(folder.resolve("documents.bin"));
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

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    Directory directory = new MMapDirectory(folder.resolve("index"));
    if (!DirectoryReader.indexExists(directory)) build(folder, directory);
    IndexSearcher searcher = new IndexSearcher(DirectoryReader.open(directory));
    searcher.setSimilarity(new Impact());
    searcher.setQueryCache(null);
    ThreadMXBean clock = ManagementFactory.getThreadMXBean();
    System.out.println("ready");
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = input.readLine()) != null; ) {
      int k = Integer.parseInt(line.trim());
      int[][] rows = read(folder.resolve("queries.bin"));
      StringBuilder output = new StringBuilder();
      for (int q = 0; q + 1 < rows[0].length; q++) {
        BooleanQuery.Builder builder = new BooleanQuery.Builder();
        for (int j = rows[0][q]; j < rows[0][q + 1]; j++)
          builder.add(new BoostQuery(new TermQuery(new Term("f", "t" + rows[1][j])), rows[2][j]), BooleanClause.Occur.SHOULD);
        BooleanQuery query = builder.build();
        long start = clock.getCurrentThreadCpuTime();
        TopScoreDocCollector collector = TopScoreDocCollector.create(k, k);
        searcher.search(query, collector);
        ScoreDoc[] hits = collector.topDocs().scoreDocs;
        output.append(clock.getCurrentThreadCpuTime() - start);
        for (ScoreDoc hit : hits) output.append(' ').append(hit.doc);
        output.append('\n');
      }
      System.out.print(output);
      System.out.flush();
    }
  }
}
