// Answers queries on an index of Anserini, in one process: LuceneServer INDEX THREADS
//
// All numbers are of four bytes, big-endian. First comes the number of documents. A request is the number of queries and
// the most documents of each, then for each query its number of terms, the terms, and the weights as floats. The answer
// is, for each query, the number of documents, their ids as numbers, and the scores as floats. It ends with its input.
import java.io.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import io.anserini.search.similarity.ImpactSimilarity;
import org.apache.lucene.document.Document;
import org.apache.lucene.index.*;
import org.apache.lucene.search.*;
import org.apache.lucene.store.MMapDirectory;

public class LuceneServer {
  static IndexSearcher searcher;
  static int[] numbers; // the number of each of Lucene's documents

  static int[] numbers(IndexReader reader) throws IOException {
    int[] found = new int[reader.maxDoc()];
    StoredFields stored = reader.storedFields();
    for (int doc = 0; doc < found.length; doc++) found[doc] = Integer.parseInt(stored.document(doc, Set.of("id")).get("id"));
    return found;
  }

  static ScoreDoc[] answer(int[] terms, float[] weights, int k) throws IOException {
    BooleanQuery.Builder builder = new BooleanQuery.Builder();
    for (int i = 0; i < terms.length; i++)
      builder.add(new BoostQuery(new TermQuery(new Term("contents", "t" + terms[i])), weights[i]), BooleanClause.Occur.SHOULD);
    TopScoreDocCollector collector = TopScoreDocCollector.create(k, k);
    searcher.search(builder.build(), collector);
    return collector.topDocs().scoreDocs;
  }

  public static void main(String[] arguments) throws Exception {
    DataOutputStream output = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
    System.setOut(System.err); // for whatever else writes there
    DataInputStream input = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
    IndexReader reader = DirectoryReader.open(new MMapDirectory(Path.of(arguments[0])));
    IndexSearcher.setMaxClauseCount(Integer.MAX_VALUE);
    searcher = new IndexSearcher(reader);
    searcher.setSimilarity(new ImpactSimilarity());
    searcher.setQueryCache(null);
    numbers = numbers(reader);
    ExecutorService threads = Executors.newFixedThreadPool(Integer.parseInt(arguments[1]));
    output.writeInt(numbers.length);
    output.flush();
    while (true) {
      int n;
      try {
        n = input.readInt();
      } catch (EOFException end) {
        System.exit(0);
        return;
      }
      int k = input.readInt();
      List<Callable<ScoreDoc[]>> tasks = new ArrayList<>();
      for (int q = 0; q < n; q++) {
        int[] terms = new int[input.readInt()];
        float[] weights = new float[terms.length];
        for (int i = 0; i < terms.length; i++) terms[i] = input.readInt();
        for (int i = 0; i < terms.length; i++) weights[i] = input.readFloat();
        tasks.add(() -> answer(terms, weights, k));
      }
      for (Future<ScoreDoc[]> task : threads.invokeAll(tasks)) {
        ScoreDoc[] hits = task.get();
        output.writeInt(hits.length);
        for (ScoreDoc hit : hits) output.writeInt(numbers[hit.doc]);
        for (ScoreDoc hit : hits) output.writeFloat(hit.score);
      }
      output.flush();
    }
  }
}
