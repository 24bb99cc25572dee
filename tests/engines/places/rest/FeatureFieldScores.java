// Scores of Lucene's FeatureField: lines "D term:weight …" are documents, "Q term:weight …" queries. Prints, for each
// query, document:score of all that match; and "refused" for a document or query whose weight Lucene refuses.

import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.FeatureField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;

public class FeatureFieldScores {
    public static void main(String[] arguments) throws Exception {
        Directory directory = new ByteBuffersDirectory();
        List<BooleanQuery> queries = new ArrayList<>();
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig())) {
            Scanner input = new Scanner(System.in);
            while (input.hasNextLine()) {
                String[] words = input.nextLine().split(" ");
                Document document = new Document();
                BooleanQuery.Builder query = new BooleanQuery.Builder();
                try {
                    for (int i = 1; i < words.length; i++) {
                        String[] pair = words[i].split(":");
                        float weight = Float.parseFloat(pair[1]);
                        if (words[0].equals("D")) {
                            document.add(new FeatureField("vector", pair[0], weight));
                        } else {
                            query.add(FeatureField.newLinearQuery("vector", pair[0], weight), BooleanClause.Occur.SHOULD);
                        }
                    }
                } catch (IllegalArgumentException refused) {
                    System.out.println("refused " + String.join(" ", words));
                    continue;
                }
                if (words[0].equals("D")) {
                    writer.addDocument(document);
                } else {
                    queries.add(query.build());
                }
            }
        }
        IndexSearcher searcher = new IndexSearcher(DirectoryReader.open(directory));
        for (BooleanQuery query : queries) {
            StringBuilder line = new StringBuilder("found");
            for (ScoreDoc hit : searcher.search(query, 10000).scoreDocs) {
                line.append(" ").append(hit.doc).append(":").append(hit.score);
            }
            System.out.println(line);
        }
    }
}
