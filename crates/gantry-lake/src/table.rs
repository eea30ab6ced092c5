//! What DataFusion sees: a set of Parquet files as a table, and a look-up in `metadata`.
//!
//! The set is given, not listed by DataFusion, because journal and notes decide which files count,
//! and because a file that has gone has to be an error (the query is then asked again).

use crate::schema::schema;
use crate::store::DataFile;
use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TableProviderFilterPushDown, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{col, lit};
use std::sync::Arc;

/// A fixed set of Parquet files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) store: ObjectStoreUrl,
    pub(crate) files: Vec<DataFile>,
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions::default();
        options.global.pushdown_filters = true;
        options.global.reorder_filters = true;
        options.global.schema_force_view_types = false;
        let source = ParquetSource::new(schema()).with_table_parquet_options(options);
        let files = self.files.iter().map(|file| PartitionedFile::from(file.meta.clone()));
        let groups =
            FileGroup::new(files.collect()).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?;
        // The optimizer hands the filters to the scan; the limit waits for them.
        Ok(DataSourceExec::from_data_source(config.build()))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// The value of a key of the request's metadata; null when the request has none.
pub(crate) fn metadata(key: &str) -> Expr {
    let function = ScalarUDF::new_from_impl(MetadataValue { signature: signature() });
    function.call(vec![col("metadata"), lit(key)])
}

fn signature() -> Signature {
    Signature::any(2, Volatility::Immutable)
}

/// `metadata_value(map, key)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MetadataValue {
    signature: Signature,
}

impl ScalarUDFImpl for MetadataValue {
    fn name(&self) -> &str {
        "metadata_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [map, key] = arguments.args.as_slice() else {
            return Err(exec_datafusion_err!("metadata_value takes a map and a key"));
        };
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(key))) = key else {
            return Err(exec_datafusion_err!("metadata_value takes a constant key"));
        };
        let map = map.to_array(arguments.number_rows)?;
        let Some(map) = map.as_map_opt() else {
            return Err(exec_datafusion_err!("metadata_value takes a map"));
        };
        let mut found = StringBuilder::new();
        for row in 0..map.len() {
            let entries = map.value(row);
            let mut keys = entries.column(0).as_string::<i32>().iter();
            let place = keys.position(|found| found == Some(key)).filter(|_| map.is_valid(row));
            found.append_option(place.map(|at| entries.column(1).as_string::<i32>().value(at)));
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish())))
    }
}
